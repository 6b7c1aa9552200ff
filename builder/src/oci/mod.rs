//! Image layouts, manifests, configurations and layers, as the OCI image specification has them.
