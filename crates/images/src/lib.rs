//! Images as wholes.
