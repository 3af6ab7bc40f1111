//! A small HTTP/1.1 server on the loopback that misbehaves exactly as told.
//!
//! It speaks raw TCP, because a server library refuses to send what the tests need to see survived:
//! bodies that stop half way, never end, or trickle.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, by its `Content-Length`.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header, given in lower case; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A well-formed answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers apart from `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer with a content type.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Status line and headers, announcing `length` bytes of body.
    fn head(&self, length: usize) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {length}\r\n\r\n"));
        head
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Answers properly.
    Whole(Reply),
    /// Waits, then answers properly.
    Late(Duration, Reply),
    /// Announces the whole body, sends half of it and closes.
    CutShort(Reply),
    /// Sends the body of the reply again and again, for ever.
    Endless(Reply),
    /// Sends one byte at a time with the pause between them, for ever (slow loris).
    Trickle(Duration, Reply),
    /// Keeps the connection open and says nothing.
    Silence,
    /// Closes without a word.
    HangUp,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Whole(reply)
    }
}

type Script = dyn Fn(&Received) -> Answer + Send + Sync;

#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    running: AtomicUsize,
    peak: AtomicUsize,
}

/// The server; it stops when dropped, with all its connections.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl ScriptedServer {
    /// Listens on a free port of the loopback and answers every request as `script` says.
    ///
    /// # Errors
    /// If no port can be opened.
    pub async fn start(
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(script), Arc::clone(&seen)));
        Ok(Self {
            address,
            seen,
            _tasks: tasks,
        })
    }

    /// A server that gives the same answer to everything.
    ///
    /// # Errors
    /// If no port can be opened.
    pub async fn always(answer: impl Into<Answer>) -> io::Result<Self> {
        let answer = answer.into();
        Self::start(move |_| answer.clone()).await
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        let requests = self.seen.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The largest number of requests that were being answered at the same time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.seen.peak.load(Ordering::SeqCst)
    }
}

/// A URL of the loopback where nobody listens.
///
/// # Errors
/// If no port can be opened, to be closed again.
pub async fn refusing_url() -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(format!("http://{}", listener.local_addr()?))
}

async fn accept(listener: TcpListener, script: Arc<Script>, seen: Arc<Seen>) {
    // Owned here, so that dropping the server ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        connections.spawn(async move {
            // A client that goes away is what many of these tests are about.
            let _gone = serve(stream, script.as_ref(), &seen).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, script: &Script, seen: &Seen) -> io::Result<()> {
    // Head and body are written apart: without this the body waits 40 ms for a delayed ACK.
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = receive(&mut stream).await? {
        let running = seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.peak.fetch_max(running, Ordering::SeqCst);
        let answer = script(&request);
        seen.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let more = respond(stream.get_mut(), answer).await;
        seen.running.fetch_sub(1, Ordering::SeqCst);
        if !more? {
            break;
        }
    }
    Ok(())
}

/// The next request of a connection, `None` at its end.
async fn receive(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Received>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut request = Received {
        method,
        path,
        ..Received::default()
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

/// Acts out an answer; whether the connection may go on.
async fn respond(stream: &mut TcpStream, answer: Answer) -> io::Result<bool> {
    match answer {
        Answer::Whole(reply) => {
            send(stream, &reply, reply.body.len()).await?;
            return Ok(true);
        }
        Answer::Late(pause, reply) => {
            tokio::time::sleep(pause).await;
            send(stream, &reply, reply.body.len()).await?;
            return Ok(true);
        }
        Answer::CutShort(mut reply) => {
            let announced = reply.body.len();
            reply.body.truncate(announced / 2);
            send(stream, &reply, announced).await?;
        }
        Answer::Endless(reply) => {
            send(stream, &reply, usize::MAX >> 1).await?;
            loop {
                stream.write_all(&reply.body).await?;
            }
        }
        Answer::Trickle(pause, reply) => {
            send(stream, &reply, usize::MAX >> 1).await?;
            loop {
                tokio::time::sleep(pause).await;
                stream.write_all(b"x").await?;
            }
        }
        Answer::Silence => std::future::pending().await,
        Answer::HangUp => {}
    }
    Ok(false)
}

async fn send(stream: &mut TcpStream, reply: &Reply, announced: usize) -> io::Result<()> {
    stream.write_all(reply.head(announced).as_bytes()).await?;
    stream.write_all(&reply.body).await?;
    stream.flush().await
}
