//! `ferry platform`: one file a verb.

pub(super) mod ls;
