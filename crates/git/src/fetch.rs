//! Fetching: what references a server has, and the objects of one commit.

use std::num::NonZeroU32;
use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice as _};
use gix::odb::pack;
use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Negotiate, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::{Handshake, LsRefsCommand};

use crate::connect::{Connection, Connector};
use crate::error::{ErrorKind, words};
use crate::{Authorization, Location};

/// A reference of a server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    /// The reference that it stands for, as HEAD does for a branch.
    pub(crate) target: Option<String>,
    /// The object it names.
    pub(crate) id: ObjectId,
    /// The commit that this object leads to, if it is a tag and the server says so.
    pub(crate) peeled: Option<ObjectId>,
}

/// How much history comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The commit alone.
    One,
    /// All.
    Full,
}

/// A conversation with a server.
pub(crate) struct Session<'a> {
    connector: &'a Connector,
    connection: Connection,
    handshake: Handshake,
}

impl<'a> Session<'a> {
    pub(crate) fn open(
        connector: &'a Connector,
        location: &Location,
        authorization: Option<&Authorization>,
    ) -> Result<Self, ErrorKind> {
        let mut connection = connector.connect(location, authorization)?;
        let handshake = gix::protocol::handshake(
            &mut *connection.transport,
            Service::UploadPack,
            // What there is to say about who we are is said with the first request.
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        );
        match handshake {
            Ok(handshake) => Ok(Session { connector, connection, handshake }),
            Err(error) => Err(connection.explain(words(error.error()))),
        }
    }

    /// The server's references. Newer servers send those alone that begin with one of the prefixes.
    pub(crate) fn references(&mut self, prefixes: &[String]) -> Result<Vec<Reference>, String> {
        let refs = match self.handshake.refs.take() {
            Some(refs) => refs,
            None => {
                let mut wanted = RefPrefixes::new();
                wanted.extend(prefixes.iter().map(|prefix| BString::from(prefix.as_str())));
                let command = LsRefsCommand::new(Some(wanted), &self.handshake.capabilities, agent());
                command
                    .invoke_blocking(&mut *self.connection.transport, &mut Discard, false)
                    .map_err(|error| words(error.error()))?
            }
        };
        let references = refs.iter().filter_map(reference).collect();
        // An older server has sent them all at once, and does so only once.
        self.handshake.refs = Some(refs).filter(|_| self.is_old());
        Ok(references)
    }

    /// True if the server speaks the protocol's first versions, in which only what a reference names may be wanted.
    fn is_old(&self) -> bool {
        !matches!(self.handshake.server_protocol_version, gix::protocol::transport::Protocol::V2)
    }

    /// Stores the objects of these commits in a repository.
    pub(crate) fn fetch(&mut self, git_dir: &Path, wants: &[ObjectId], depth: Depth) -> Result<(), String> {
        let shallow = match depth {
            Depth::One => Shallow::DepthAtRemote(NonZeroU32::MIN),
            Depth::Full => Shallow::NoChange,
        };
        let stop = self.connector.stop.clone();
        let outcome = gix::protocol::fetch(
            &mut Wants(wants),
            |pack, progress, interrupt| {
                let options = pack::bundle::write::Options { thread_limit: Some(1), ..Default::default() };
                pack::Bundle::write_to_directory(
                    pack,
                    Some(&git_dir.join("objects/pack")),
                    progress,
                    interrupt,
                    None::<gix::odb::Handle>,
                    gix::hash::Kind::Sha1,
                    options,
                )
                .map(|bundle| {
                    // The mark that nobody may collect these objects yet; nobody does.
                    if let Some(keep) = bundle.keep_path {
                        let _ = std::fs::remove_file(keep);
                    }
                    true
                })
            },
            Discard,
            stop.flag(),
            gix::protocol::fetch::Context {
                handshake: &mut self.handshake,
                transport: &mut self.connection.transport,
                user_agent: agent(),
                trace_packetlines: false,
            },
            gix::protocol::fetch::Options {
                shallow_file: git_dir.join("shallow"),
                shallow: &shallow,
                tags: Tags::None,
                reject_shallow_remote: false,
            },
        );
        match outcome {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the server sends nothing".to_owned()),
            Err(error) => Err(words(error.error())),
        }
    }

    pub(crate) fn explain(self, told: String) -> ErrorKind {
        self.connection.explain(told)
    }
}

/// A negotiation in which all is wanted and nothing is there yet.
struct Wants<'a>(&'a [ObjectId]);

impl Negotiate for Wants<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: vec![false; self.0.len()] })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        for id in self.0 {
            arguments.want(id);
        }
        !self.0.is_empty()
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        _arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        let round = Round {
            haves_sent: 0,
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

fn reference(of: &Ref) -> Option<Reference> {
    let text = |name: &BString| name.to_str().ok().map(str::to_owned);
    Some(match of {
        Ref::Peeled { full_ref_name, tag, object } => {
            Reference { name: text(full_ref_name)?, target: None, id: *tag, peeled: Some(*object) }
        }
        Ref::Direct { full_ref_name, object } => {
            Reference { name: text(full_ref_name)?, target: None, id: *object, peeled: None }
        }
        Ref::Symbolic { full_ref_name, target, tag, object } => Reference {
            name: text(full_ref_name)?,
            target: text(target),
            id: tag.unwrap_or(*object),
            peeled: tag.map(|_| *object),
        },
        // It has no commit yet.
        Ref::Unborn { .. } => return None,
    })
}

/// Who asks.
fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(concat!("git/bako-", env!("CARGO_PKG_VERSION")).to_owned()))
}
