//! The distribution protocol: resolving, fetching, mounting, uploading and tagging.
