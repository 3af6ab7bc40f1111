//! Reading requests: JSON bodies, paths and queries, each with an error that names the field.

use super::problem::ApiError;
use crate::error::Error;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::{IntoParams, ToSchema};

/// A JSON body. The content type is not looked at: a body is JSON or it is refused.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                let too_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
                if too_large {
                    return StatusCode::PAYLOAD_TOO_LARGE.into_response();
                }
                let error =
                    Error::invalid("unreadable_body", "the body could not be read to its end");
                ApiError::from(error).into_response()
            })?;
        let invalid = |what: &str| {
            let message = format!("the body is not valid: {what}");
            ApiError::from(Error::invalid("invalid_json", message)).into_response()
        };
        // serde would take an array for a struct, its items for the fields in order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid("it must be a JSON object, { ... }"));
        }
        serde_json::from_slice(&body)
            .map(Json)
            .map_err(|error| invalid(&error.to_string()))
    }
}

/// A query string.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            Error::invalid(
                "invalid_query",
                format!("the query string is not valid: {}", rejection.body_text()),
            )
            .into()
        })
    }
}

/// A query string whose parameters belong to two groups. What neither knows is refused: a misspelt
/// filter would widen the question without a word.
#[derive(Debug)]
pub(super) struct Params2<A, B>(pub(super) A, pub(super) B);

impl<A, B, S> FromRequestParts<S> for Params2<A, B>
where
    A: DeserializeOwned + IntoParams + Send,
    B: DeserializeOwned + IntoParams + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Params(first) = Params::<A>::from_request_parts(parts, state).await?;
        let Params(second) = Params::<B>::from_request_parts(parts, state).await?;
        let Params(given) =
            Params::<BTreeMap<String, String>>::from_request_parts(parts, state).await?;
        let described = [A::into_params(|| None), B::into_params(|| None)].concat();
        let unknown = given
            .keys()
            .find(|name| described.iter().all(|known| known.name != **name));
        if let Some(name) = unknown {
            let known: Vec<&str> = described.iter().map(|known| known.name.as_str()).collect();
            let message = format!(
                "parameter {name:?} is unknown; known are: {}",
                known.join(", ")
            );
            return Err(Error::invalid("invalid_query", message).into());
        }
        Ok(Self(first, second))
    }
}

/// An id that a sender may spell as a number or as a string; it goes out as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
pub(super) struct IdText(pub(super) String);

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;

        impl Visitor<'_> for IdVisitor {
            type Value = IdText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IdText, E> {
                Ok(IdText(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<IdText, E> {
                Ok(IdText(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<IdText, E> {
                Ok(IdText(number.to_string()))
            }
        }

        deserializer.deserialize_any(IdVisitor)
    }
}
