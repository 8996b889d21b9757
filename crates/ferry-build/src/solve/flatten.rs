//! All files of a result in one layer, for clients that want files and no image.

use std::sync::Arc;

use ferry_oci::DiffId;
use ferry_store::Store;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::snapshot::StepSnapshot;
use crate::files::{self, Count, Layout, Origin, Placement, Trust, View, Whiteouts, select_path};
use crate::{BuiltImage, DEFAULT_EPOCH, StepFailure};

/// Makes a layer of all that `images` show: their files themselves, or with several images those of each in
/// a folder named after its platform, `linux_arm_v7`. Blocks. The layer has no whiteouts; a lease keeps it.
pub fn flatten(store: &Store, images: &[BuiltImage]) -> Result<DiffId, StepFailure> {
    let target = StepSnapshot::prepare(store, &[])?;
    let nothing = View::open(&[], Whiteouts::Plain)?;
    let epoch = images.first().map_or(DEFAULT_EPOCH, created);
    let mut layout = Layout::new(&nothing, epoch);
    // Their layers are bound to the snapshots, which are read until all is written.
    let mut snapshots = Vec::new();
    for image in images {
        let snapshot = StepSnapshot::prepare(store, &image.config.rootfs.diff_ids)?;
        let origin = Origin {
            view: Arc::new(snapshot.lower()?),
            ignore: None,
            trust: Trust::Content,
        };
        let selection = select_path(&origin, b"")?;
        let destination = match images {
            [_] => "/".to_owned(),
            _ => format!("/{}/", image.platform.to_string().replace('/', "_")),
        };
        let placement = Placement {
            destination: &destination,
            owner: None,
            mode: None,
            sources: Count::One,
        };
        for source in &selection.sources {
            layout.place(source, &placement)?;
        }
        snapshots.push(snapshot);
    }
    files::write(&layout, &target.overlay.upper)?;
    target.commit(epoch)
}

/// The time that the build gave its result.
fn created(image: &BuiltImage) -> i64 {
    let written = image.config.created.as_deref().unwrap_or_default();
    OffsetDateTime::parse(written, &Rfc3339).map_or(DEFAULT_EPOCH, OffsetDateTime::unix_timestamp)
}
