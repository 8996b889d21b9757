//! The default profile of every container, as data and small functions over it.
