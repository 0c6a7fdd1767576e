//! Authorization by whoever has to see a request to give one, as signatures do.

use std::fmt::Debug;
use std::pin::Pin;

use reqwest::header::HeaderMap;
use url::Url;

/// Work of an [`Authorize`].
pub type Authorizing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Authorizes requests for one server. Each try of a download is authorized anew, so that what runs out in the middle
/// of one is renewed. What was authorized is followed to no other address.
pub trait Authorize: Debug + Send + Sync {
    /// Adds headers to a GET. Nothing is added if nobody is known: then it is asked for as by anybody.
    fn authorize<'a>(
        &'a self,
        url: &'a Url,
        headers: &'a mut HeaderMap,
    ) -> Authorizing<'a, Result<(), String>>;

    /// What was added has been refused; there is one more try.
    fn refused(&self) -> Authorizing<'_, ()>;

    /// What the reader can do about an answer that is no success, if its headers say more than its status.
    fn hint(&self, answer: &HeaderMap) -> Option<String> {
        let _ = answer;
        None
    }
}
