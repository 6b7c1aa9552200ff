//! The Debian archive: signed indices, the minimal set of packages, and the root file system that
//! they make before they are configured.
