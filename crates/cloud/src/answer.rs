//! Answers of services: short texts, and what a refusal says.

use std::time::SystemTime;

use reqwest::header::HeaderMap;
use reqwest::{Request, Response};
use serde::de::DeserializeOwned;
use transport::{Backoff, Clients, GetError, retry_after};

use crate::Error;

/// What is read at most.
const LIMIT: usize = 1 << 20;

/// An answer that fits into memory.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// What came. It may be a secret.
    pub body: Vec<u8>,
    who: String,
}

impl Answer {
    /// True for a status of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer, if it is one of success.
    pub fn success(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let words = transport::words(&self.body);
        let colon = if words.is_empty() { "" } else { ": " };
        Err(Error::failed(self.who, format!("status {}{colon}{words}", self.status)))
    }

    /// The answer as JSON of a form. What came is never quoted.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let reason = format!("an unexpected answer (line {}, column {})", error.line(), error.column());
            Error::failed(self.who.as_str(), reason)
        })
    }

    /// The answer as text, without space around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

pub(crate) async fn ask(
    clients: &Clients,
    who: &str,
    mut make: impl FnMut() -> Result<Request, Error>,
) -> Result<Answer, Error> {
    let mut backoff = Backoff::new(&clients.network().retry);
    loop {
        let mut wait = None;
        let failed = match clients.send(make()?).await {
            Ok(response) => {
                let status = response.status().as_u16();
                wait = retry_after(response.headers(), SystemTime::now());
                match read(clients, who, response).await {
                    Ok(answer) if !transport::is_retriable(status) => return Ok(answer),
                    Ok(answer) => Ok(answer),
                    Err(reason) => Err(Error::failed(who, reason)),
                }
            }
            Err(GetError::Failure(host, failure)) => {
                let error = Error::failed(who, format!("cannot reach {host}: {}", failure.reason));
                if failure.cause != transport::Cause::Network {
                    return Err(error);
                }
                Err(error)
            }
            Err(GetError::Redirect(reason) | GetError::Options(reason)) => {
                return Err(Error::failed(who, reason));
            }
        };
        let Some(delay) = backoff.next(wait) else { return failed };
        tracing::debug!(who, ?delay, "again");
        tokio::time::sleep(delay).await;
    }
}

async fn read(clients: &Clients, who: &str, mut response: Response) -> Result<Answer, String> {
    let idle = clients.network().idle;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match tokio::time::timeout(idle, response.chunk()).await {
            Ok(Ok(Some(bytes))) if body.len() + bytes.len() > LIMIT => {
                return Err(format!("its answer is larger than {LIMIT} bytes"));
            }
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
            Ok(Ok(None)) => return Ok(Answer { status, headers, body, who: who.to_owned() }),
            Ok(Err(error)) => return Err(transport::reason_of(&error)),
            Err(_) => return Err(format!("no data for {} seconds", idle.as_secs_f32())),
        }
    }
}
