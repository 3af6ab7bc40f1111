//! A bar on the terminal for whoever waits longer than a moment.

use crate::error::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Nothing is shown of what is over before this.
const PATIENCE: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(150);

/// The bar.
pub(super) struct Bar;

impl Bar {
    /// Waits for `work`, and shows how far it is: `look` says rows read and rows to be read.
    pub(super) async fn watch<T>(
        work: impl Future<Output = Result<T>>,
        look: impl AsyncFn() -> Option<(u64, u64)>,
    ) -> Result<T> {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        // Hidden by itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = "{bar:30} {human_pos} of {human_len} rows, {elapsed}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
        let done = loop {
            if let Some((read, all)) = look().await {
                bar.set_length(all.max(read));
                bar.set_position(read);
            }
            if let Ok(done) = tokio::time::timeout(EVERY, &mut work).await {
                break done;
            }
        };
        bar.finish_and_clear();
        done
    }
}
