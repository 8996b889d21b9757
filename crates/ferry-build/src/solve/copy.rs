//! COPY and ADD: select, lay out, and write only what no earlier build has made.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use ferry_oci::{DiffId, Digest};
use ferry_store::layer::unpack;
use ferry_store::{Limits, Store};
use rustix::fs::{Mode, OFlags};

use super::snapshot::StepSnapshot;
use super::{Root, Solver, StepResult, key};
use crate::cache::{SessionCache, TEMPORARY, failed, make_folders};
use crate::files::{
    self, Content, Count, Found, ItemKind, Layout, Origin, Owner, Placement, Selected, Selection, Trust, View, Wanted,
    Whiteouts, select,
};
use crate::key::KeyHasher;
use crate::plan::{Archives, CachePolicy, CopyOp, CopySource, Node, ParentPaths, SourceRoot};
use crate::progress::{Ending, Told};
use crate::{StepFailure, unique};

impl Solver<'_> {
    pub(super) async fn copy(
        &self,
        node: &Node,
        op: &CopyOp,
        parent: &Root,
        sources: &[Root],
        told: &mut Told<'_>,
    ) -> StepResult {
        let input = match op.from {
            SourceRoot::Context => Input::Selected(self.select_context(op).await?),
            SourceRoot::Root => Input::Root(sources.first().cloned().unwrap_or_default()),
        };
        let quick = key::copy(op, parent, &input.digest(), self.epoch);
        if let Some(layer) = self.cache.get(&quick, node.cache) {
            return Ok((parent.with(layer), Ending::Cached));
        }
        let _slot = self.slots.acquire().await;
        told.begin().await;
        let job = Job {
            store: self.ports.store.clone(),
            cache: self.cache.clone(),
            policy: node.cache,
            name: node.name.clone(),
            op: op.clone(),
            parent: parent.clone(),
            epoch: self.epoch,
        };
        let (layer, ending) = crate::blocking::run(move || job.run(input)).await?;
        self.cache.put(quick, &node.name, layer);
        Ok((parent.with(layer), ending))
    }

    /// Selects from the context; once for all platforms that copy the same.
    async fn select_context(&self, op: &CopyOp) -> Result<Arc<Selection>, StepFailure> {
        let cell = {
            let mut selections = self.selections.lock().unwrap_or_else(PoisonError::into_inner);
            selections.entry(wanted_key(op)).or_default().clone()
        };
        cell.get_or_try_init(|| async {
            let is_inline = |source: &CopySource| matches!(source, CopySource::Inline { .. });
            let view = if op.sources.iter().all(is_inline) {
                Arc::new(View::open(&[], Whiteouts::Plain)?)
            } else {
                self.context().await?
            };
            let (op, ignore) = (op.clone(), self.ignore.clone());
            crate::blocking::run(move || {
                let origin = Origin {
                    view,
                    ignore: Some(&ignore),
                    trust: Trust::Host,
                };
                Ok(Arc::new(select(&origin, &wanted(&op))?))
            })
            .await
        })
        .await
        .cloned()
    }
}

/// What is copied: known already, or the file system to take it from.
enum Input {
    Selected(Arc<Selection>),
    Root(Root),
}

impl Input {
    fn digest(&self) -> Digest {
        match self {
            Self::Selected(selection) => selection.digest,
            Self::Root(root) => key::root(root),
        }
    }
}

/// One COPY, where it may block.
struct Job {
    store: Store,
    cache: Arc<SessionCache>,
    policy: CachePolicy,
    name: String,
    op: CopyOp,
    parent: Root,
    epoch: i64,
}

impl Job {
    fn run(self, input: Input) -> Result<(Option<DiffId>, Ending), StepFailure> {
        let mut held = Vec::new();
        let selection = match input {
            Input::Selected(selection) => selection,
            Input::Root(root) => {
                // The snapshot is only looked at: it has the layers' metadata set right.
                let source = StepSnapshot::prepare(&self.store, &root.layers)?;
                let origin = Origin {
                    view: Arc::new(source.lower()?),
                    ignore: None,
                    trust: Trust::Content,
                };
                let selection = select(&origin, &wanted(&self.op))?;
                held.push(source);
                Arc::new(selection)
            }
        };
        let snapshot = StepSnapshot::prepare(&self.store, &self.parent.layers)?;
        let lower = snapshot.lower()?;
        let mut archives = Vec::new();
        let layout = self.lay_out(&selection, &lower, &mut archives)?;
        if layout.entries().is_empty() {
            return Ok((None, Ending::Done));
        }
        let layout_key = key::layout(&layout.digest());
        let making = self.cache.making(&layout_key);
        let _making = making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = self.cache.get(&layout_key, self.policy) {
            return Ok((layer, Ending::Cached));
        }
        files::write(&layout, &snapshot.overlay.upper)?;
        let layer = Some(snapshot.commit(self.epoch)?);
        self.cache.put(layout_key, &self.name, layer);
        Ok((layer, Ending::Done))
    }

    fn lay_out<'v>(
        &self,
        selection: &Selection,
        lower: &'v View,
        archives: &mut Vec<UnpackedArchive>,
    ) -> Result<Layout<'v>, StepFailure> {
        let owner = match &self.op.owner {
            Some(owner) => Some(Owner::resolve(owner, lower)?),
            None => None,
        };
        let mut layout = Layout::new(lower, self.epoch);
        let placement = Placement {
            destination: &self.op.destination,
            owner,
            mode: self.op.mode.as_ref(),
            sources: match selection.sources.as_slice() {
                [] | [_] => Count::One,
                _ => Count::Several,
            },
        };
        for source in &selection.sources {
            match archive_in(source) {
                None => layout.place(source, &placement)?,
                Some((view, found)) => {
                    let unpacked = UnpackedArchive::new(&self.store, view, found)?;
                    let directory = format!("{}/", self.op.destination.trim_end_matches('/'));
                    let placement = Placement {
                        destination: &directory,
                        ..placement.clone()
                    };
                    for source in &unpacked.select()?.sources {
                        layout.place(source, &placement)?;
                    }
                    archives.push(unpacked);
                }
            }
        }
        Ok(layout)
    }
}

/// Where a source is that is an archive to unpack; text of the Dockerfile is never one.
fn archive_in(source: &Selected) -> Option<(&View, &Found)> {
    match source.items.as_slice() {
        [only] => match &only.kind {
            ItemKind::File {
                content: Content::In { view, found },
                archive: Archives::Unpack,
                ..
            } => Some((view, found)),
            _ => None,
        },
        _ => None,
    }
}

/// An archive, unpacked beside the layer; gone when it is dropped.
struct UnpackedArchive {
    path: PathBuf,
}

impl UnpackedArchive {
    fn new(store: &Store, view: &View, found: &Found) -> Result<Self, StepFailure> {
        let path = store.root().join(TEMPORARY).join(unique::name());
        make_folders(store, &path)?;
        let unpacked = Self { path };
        let top = rustix::fs::open(
            &unpacked.path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| failed("open", &unpacked.path)(errno.into()))?;
        let file = std::fs::File::from(view.open_file(found)?);
        unpack(
            files::open_tar(file)?,
            top,
            ferry_store::layer::Whiteouts::Literal,
            &Limits::default(),
        )?;
        Ok(unpacked)
    }

    fn select(&self) -> Result<Selection, StepFailure> {
        let origin = Origin {
            view: Arc::new(View::open(std::slice::from_ref(&self.path), Whiteouts::Plain)?),
            ignore: None,
            trust: Trust::Content,
        };
        let everything = Wanted {
            sources: &[CopySource::Path("/".to_owned())],
            exclude: &[],
            parents: ParentPaths::Drop,
            archives: Archives::Copy,
        };
        Ok(select(&origin, &everything)?)
    }
}

impl Drop for UnpackedArchive {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "could not remove an unpacked archive");
        }
    }
}

fn wanted(op: &CopyOp) -> Wanted<'_> {
    Wanted {
        sources: &op.sources,
        exclude: &op.exclude,
        parents: op.parents,
        archives: op.archives,
    }
}

/// Equal for COPYs that take the same from the context, wherever they put it.
fn wanted_key(op: &CopyOp) -> Digest {
    let mut key = KeyHasher::new("wanted");
    let text = serde_json::to_vec(&(&op.sources, &op.exclude, op.parents, op.archives))
        .expect("ops are plain data, which JSON can always hold");
    key.bytes(&text);
    key.finish()
}
