//! Keys of whatever inputs: equal inputs have equal keys, and no others have.

use cache::{Domain, Key, KeyWriter};
use layer::{ContentHash, Kind, Metadata, Node};
use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that goes into a key.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    Field(String, Vec<u8>),
    Node(Vec<u8>, Node, bool),
}

impl Given {
    /// What of it counts: all but the time, and the mode where it is left out.
    fn that_counts(&self) -> Self {
        let mut given = self.clone();
        if let Given::Node(_, node, with_mode) = &mut given {
            node.metadata.mtime = 0;
            if !*with_mode {
                node.metadata.mode = 0;
            }
        }
        given
    }
}

fn key(domain: Domain, inputs: &[Given]) -> Key {
    let mut writer = KeyWriter::new(domain);
    for input in inputs {
        match input {
            Given::Field(name, value) => writer.field(name, value),
            Given::Node(path, node, with_mode) => writer.node(b"put", path, node, *with_mode),
        }
    }
    writer.finish().0
}

/// Few different bytes, among them those of names, lengths and separators, so that much looks alike.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(&b"a \0\x01\n"[..]), 0..4)
}

fn text() -> impl Strategy<Value = String> {
    bytes().prop_map(|bytes| String::from_utf8(bytes).expect("they are ASCII"))
}

fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        Just(Kind::Directory),
        Just(Kind::Fifo),
        (0u64..3, bytes()).prop_map(|(size, data)| Kind::File { size, content: ContentHash::of(&data) }),
        bytes().prop_map(|target| Kind::Symlink { target: target.into() }),
        (0u32..2, 0u32..2).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
        (0u32..2, 0u32..2).prop_map(|(major, minor)| Kind::BlockDevice { major, minor }),
    ];
    let metadata = (0u32..2, 0u32..2, 0u32..2, 0i64..2);
    let attributes = prop::collection::btree_map(bytes(), bytes(), 0..3);
    (kind, metadata, attributes).prop_map(|(kind, (mode, uid, gid, mtime), attributes)| {
        let mut metadata = Metadata { mode, uid, gid, mtime, ..Metadata::default() };
        metadata.xattrs = attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Node { metadata, kind }
    })
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        (text(), bytes()).prop_map(|(name, value)| Given::Field(name, value)),
        (bytes(), node(), any::<bool>()).prop_map(|(path, node, mode)| Given::Node(path, node, mode)),
    ]
}

fn domain() -> impl Strategy<Value = Domain> {
    prop::sample::select(vec![Domain::Root, Domain::Step, Domain::Definition, Domain::Content])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_has_one_meaning(one in vec(given(), 0..4), other in vec(given(), 0..4), domains in (domain(), domain())) {
        let counts = |inputs: &[Given]| inputs.iter().map(Given::that_counts).collect::<Vec<_>>();
        let same = domains.0 == domains.1 && counts(&one) == counts(&other);
        prop_assert_eq!(key(domains.0, &one) == key(domains.1, &other), same);
    }

    /// What is nearly the same is not the same: one byte is moved from one input to the next, or one is left out.
    #[test]
    fn neighbours_have_other_keys(inputs in vec((text(), text()), 1..5), at in any::<prop::sample::Index>()) {
        let fields = |inputs: &[(String, String)]| {
            let field = |(name, value): &(String, String)| Given::Field(name.clone(), value.clone().into_bytes());
            key(Domain::Step, &inputs.iter().map(field).collect::<Vec<_>>())
        };
        let whole = fields(&inputs);
        let at = at.index(inputs.len());
        let mut shorter = inputs.clone();
        shorter.remove(at);
        prop_assert_ne!(whole, fields(&shorter));
        let mut moved = inputs.clone();
        if let Some(last) = moved[at].0.pop() {
            moved[at].1.insert(0, last);
            prop_assert_ne!(whole, fields(&moved));
        }
    }
}
