//! The distribution protocol as a client: challenge and token, retries, pull, push, mount; credentials.
#![forbid(unsafe_code)]
