//! An OCI image layout on disk: blobs by digest and an index of references, safe against crashes and neighbours.
#![forbid(unsafe_code)]
