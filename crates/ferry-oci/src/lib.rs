//! ferry-oci
