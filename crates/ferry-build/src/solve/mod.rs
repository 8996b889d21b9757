//! The solver: runs the vertices of a plan, each when its inputs are there, as many at once as there are cores.
//!
//! Everything is polled by the build's own future, so dropping that ends everything. A vertex that
//! fails ends only what needs it; other platforms and stages go on, and the failure that comes first in the
//! graph is reported.

mod copy;
mod directory;
mod flatten;
mod image;
mod key;
mod mounts;
mod run;
mod secrets;
mod snapshot;
mod stubs;

pub use self::flatten::flatten;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ferry_oci::{DiffId, Digest};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use tokio::sync::{OnceCell, Semaphore};

use crate::cache::SessionCache;
use crate::files::{Selection, View, Whiteouts};
use crate::ignore::Ignore;
use crate::plan::ImageKey;
use crate::plan::{Node, NodeIndex, Op, Plan, RootRef};
use crate::progress::{Ending, Told};
use crate::{BaseImage, BuildError, BuildRequest, EventSink, Ports, StepFailure, VertexError};

/// A file system that a vertex gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Root {
    /// Its layers, bottom first.
    pub(crate) layers: Arc<[DiffId]>,
    /// The layer that the vertex itself added.
    pub(crate) added: Option<DiffId>,
}

impl Root {
    fn with(&self, added: Option<DiffId>) -> Self {
        Self {
            layers: self.layers.iter().copied().chain(added).collect(),
            added,
        }
    }
}

/// What is fixed for the whole of a build.
pub(crate) struct Solver<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) ports: &'a Ports,
    pub(crate) request: &'a BuildRequest,
    pub(crate) images: &'a HashMap<ImageKey, BaseImage>,
    pub(crate) ignore: Arc<Ignore>,
    pub(crate) epoch: i64,
    pub(crate) events: &'a EventSink,
    pub(crate) cache: Arc<SessionCache>,
    /// One permit a core, held while a step works.
    pub(crate) slots: Semaphore,
    pub(crate) context: OnceCell<Arc<View>>,
    /// Selections from the context, by what was asked for: platforms share them.
    pub(crate) selections: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Selection>>>>>,
    /// By the vertex's place in the graph, so that of several the same is reported each time.
    pub(crate) failures: Mutex<BTreeMap<usize, BuildError>>,
}

/// A vertex, or what it needs, failed; the reason is with the solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

type Solved<'a> = Shared<BoxFuture<'a, Result<Root, Failed>>>;

impl<'a> Solver<'a> {
    /// Runs every vertex and returns what each gave, in the graph's order.
    pub(crate) async fn run(&'a self) -> Result<Vec<Root>, BuildError> {
        let mut solved: Vec<Solved<'_>> = Vec::new();
        for (index, node) in self.plan.graph.nodes.iter().enumerate() {
            let ids = self.plan.inputs_of(NodeIndex(index));
            let ids = ids.into_iter().map(|input| self.plan.graph[input].id);
            let told = Told::announce(self.events, node.id, &node.name, ids.collect()).await;
            let input = |root: &RootRef| root.map(|index| solved[index.0].clone());
            let parent = input(&node.parent);
            let sources = node.sources.iter().map(input).collect();
            solved.push(self.solve(index, node, told, parent, sources).boxed().shared());
        }
        let results = join_all(solved).await;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, first)) = failures.pop_first() {
            return Err(first);
        }
        // Without a failure every vertex gave something.
        Ok(results.into_iter().flatten().collect())
    }

    async fn solve(
        &'a self,
        place: usize,
        node: &'a Node,
        told: Told<'a>,
        parent: Option<Solved<'a>>,
        sources: Vec<Option<Solved<'a>>>,
    ) -> Result<Root, Failed> {
        // All inputs are waited for, so that none is left half-done when another fails.
        let inputs = join_all(std::iter::once(parent).chain(sources).map(given)).await;
        let mut inputs = inputs.into_iter();
        let parent = inputs.next().unwrap_or(Err(Failed))?;
        let sources = inputs.collect::<Result<Vec<_>, _>>()?;
        self.step(place, node, told, &parent, &sources).await
    }

    async fn step(
        &self,
        place: usize,
        node: &Node,
        mut told: Told<'a>,
        parent: &Root,
        sources: &[Root],
    ) -> Result<Root, Failed> {
        let result = match &node.op {
            Op::Image { key, .. } => self.image(key, &mut told).await,
            Op::Run(op) => self.run_step(node, op, parent, sources, &mut told).await,
            Op::Copy(op) => self.copy(node, op, parent, sources, &mut told).await,
            Op::MakeDirectory(op) => self.make_directory(node, op, parent, &mut told).await,
        };
        match result {
            Ok((root, ending)) => {
                told.end(ending).await;
                Ok(root)
            }
            Err(failure) => {
                told.fail(&failure).await;
                self.note(place, node, failure);
                Err(Failed)
            }
        }
    }

    fn note(&self, place: usize, node: &Node, failure: StepFailure) {
        let is_for_several = self.plan.images.len() > 1;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let error = VertexError {
            vertex: node.name.clone(),
            platform: is_for_several.then(|| node.platform.clone()),
            instruction: node.source.clone(),
            failure,
        };
        failures.insert(place, Box::new(error).into());
    }

    /// The context's files, fetched when the first step needs them.
    async fn context(&self) -> Result<Arc<View>, StepFailure> {
        self.context
            .get_or_try_init(|| async {
                let told = Told::begin_internal(self.events, "[internal] load build context").await;
                let filter = crate::context::filter(&self.plan.context_paths, &self.ignore);
                let synced = async {
                    let path = self.ports.context.sync(&filter).await?;
                    Ok(Arc::new(View::open(&[path], Whiteouts::Plain)?))
                };
                told.settle::<_, StepFailure>(synced.await).await
            })
            .await
            .cloned()
    }
}

async fn given(solved: Option<Solved<'_>>) -> Result<Root, Failed> {
    match solved {
        Some(solved) => solved.await,
        None => Ok(Root::default()),
    }
}

/// What a step gives: its file system, and whether it was there already.
type StepResult = Result<(Root, Ending), StepFailure>;
