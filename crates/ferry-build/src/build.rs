//! A build from beginning to end: read, plan until every base is at hand, solve, export.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ferry_oci::Platform;
use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore, mpsc};

use crate::cache::SessionCache;
use crate::context::{read_dockerfile, read_ignore};
use crate::dockerfile::Dockerfile;
use crate::export::Export;
use crate::ignore::Ignore;
use crate::plan::{ImageKey, Needs, Plan, PlanError, Planned, first_needs, plan};
use crate::progress::Told;
use crate::solve::Solver;
use crate::{
    BaseError, BaseImage, BuildError, BuildEvent, BuildRequest, BuildResult, DEFAULT_EPOCH, EventSink,
    InstructionError, Ports, VertexId, VertexWarning,
};

/// The documentation of BuildKit's checks, which ours are named after.
const RULES_URL: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// Builds what `request` asks for and stores the result; nothing is tagged.
///
/// Events go to `events` as they happen; when its receiver is gone, the build goes on in silence.
/// Dropping the future cancels the build: running steps are dropped (see [`StepRunner::run`](crate::StepRunner::run)),
/// finished steps stay in the cache, half-made layers are removed.
pub async fn build(
    request: BuildRequest,
    ports: &Ports,
    events: mpsc::Sender<BuildEvent>,
) -> Result<BuildResult, BuildError> {
    let events = EventSink::new(events);
    let lease = Arc::new(ports.store.lease());
    let epoch = epoch(&request)?;
    let Definition { file, ignore, vertex } = read(&request, ports, &events).await?;
    let target = target(&file, &request)?;
    let platforms = match request.platforms.as_slice() {
        [] => vec![request.build_platform.clone()],
        platforms => platforms.to_vec(),
    };
    let (plan, images) = plan_all(&file, &request, target, &platforms, ports, &events).await?;
    warn(&plan, &file, vertex, &events).await;
    let solver = Solver {
        plan: &plan,
        ports,
        request: &request,
        images: &images,
        ignore: Arc::new(ignore),
        epoch,
        events: &events,
        cache: Arc::new(SessionCache::new(&ports.store)),
        slots: Semaphore::new(cores()),
        context: OnceCell::new(),
        selections: Mutex::default(),
        failures: Mutex::default(),
    };
    let roots = solver.run().await?;
    Export {
        store: &ports.store,
        plan: &plan,
        roots: &roots,
        images: &images,
        epoch,
        form: request.form,
    }
    .run(&events, lease)
    .await
}

/// What steers a build.
struct Definition {
    file: Dockerfile,
    ignore: Ignore,
    /// The vertex that the Dockerfile was loaded as.
    vertex: VertexId,
}

async fn read(request: &BuildRequest, ports: &Ports, events: &EventSink) -> Result<Definition, BuildError> {
    let name = &request.dockerfile_name;
    let load = format!("[internal] load build definition from {name}");
    let told = Told::begin_internal(events, &load).await;
    let vertex = told.id();
    let bytes = told
        .settle(read_dockerfile(ports.context.as_ref(), request).await)
        .await?;
    let file = Dockerfile::parse(name, &bytes)?;
    let told = Told::begin_internal(events, "[internal] load .dockerignore").await;
    let ignore = told.settle(read_ignore(ports.context.as_ref(), request).await).await?;
    Ok(Definition { file, ignore, vertex })
}

fn target(file: &Dockerfile, request: &BuildRequest) -> Result<usize, BuildError> {
    let Some(wanted) = request.target.as_deref().filter(|target| !target.is_empty()) else {
        return Ok(file.stages.len() - 1);
    };
    file.stage(wanted).ok_or_else(|| BuildError::NoSuchTarget {
        target: wanted.to_owned(),
        stages: file.stages.iter().filter_map(|stage| stage.name.clone()).collect(),
    })
}

/// Plans, asks for the images that the plan needs, and plans again, until nothing is missing.
async fn plan_all(
    file: &Dockerfile,
    request: &BuildRequest,
    target: usize,
    platforms: &[Platform],
    ports: &Ports,
    events: &EventSink,
) -> Result<(Plan, HashMap<ImageKey, BaseImage>), BuildError> {
    let mut images = HashMap::new();
    let needs = first_needs(file, request, target, platforms);
    resolve(file, needs, &mut images, request, ports, events).await?;
    loop {
        match plan(file, request, target, platforms, &images) {
            Ok(Planned::Complete(plan)) => return Ok((*plan, images)),
            Ok(Planned::Needs(needs)) => {
                resolve(file, needs, &mut images, request, ports, events).await?;
            }
            Err(PlanError { fault, source }) => {
                let instruction = source;
                return Err(Box::new(InstructionError { instruction, fault }).into());
            }
        }
    }
}

async fn resolve(
    file: &Dockerfile,
    needs: Needs,
    images: &mut HashMap<ImageKey, BaseImage>,
    request: &BuildRequest,
    ports: &Ports,
    events: &EventSink,
) -> Result<(), BuildError> {
    let resolving = needs.into_iter().map(|(key, lines)| async move {
        let name = format!("[internal] load metadata for {} ({})", key.reference, key.platform);
        let told = Told::begin_internal(events, &name).await;
        let output = told.output();
        let image = ports
            .images
            .resolve(&key.reference, &key.platform, request.pull, &output)
            .await;
        match told.settle(image).await {
            Ok(image) => Ok((key, image)),
            Err(failure) => Err(Box::new(BaseError {
                instruction: file.source(lines),
                reference: key.reference,
                failure,
            })),
        }
    });
    for resolved in join_all(resolving).await {
        let (key, image) = resolved?;
        images.insert(key, image);
    }
    Ok(())
}

async fn warn(plan: &Plan, file: &Dockerfile, vertex: VertexId, events: &EventSink) {
    for oddity in &plan.warnings {
        events
            .send(BuildEvent::Warning(VertexWarning {
                vertex,
                short: match oddity.rule {
                    Some(rule) => format!("{rule}: {} (line {})", oddity.short, oddity.lines.first),
                    None => oddity.short.clone(),
                },
                detail: Vec::new(),
                url: oddity.rule.map(|rule| format!("{RULES_URL}{}/", kebab(rule))),
                source: Some(file.source(oddity.lines)),
            }))
            .await;
    }
}

/// `UndefinedVar` as `undefined-var`.
fn kebab(rule: &str) -> String {
    let mut text = String::new();
    for c in rule.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

fn epoch(request: &BuildRequest) -> Result<i64, BuildError> {
    match request.build_args.get("SOURCE_DATE_EPOCH").map(String::as_str) {
        None | Some("") => Ok(DEFAULT_EPOCH),
        Some(value) => value
            .parse()
            .ok()
            .filter(|epoch| *epoch >= 0)
            .ok_or_else(|| BuildError::BadEpoch {
                value: value.to_owned(),
            }),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
