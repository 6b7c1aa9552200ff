//! The few kernel calls that the native engine needs: namespaces, mounts, credentials, special
//! files. The only room where `unsafe` may stand.
