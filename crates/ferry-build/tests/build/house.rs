//! A store, a context, base images and a runner that edits the upper directory, all in one folder.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ferry_build::{
    BaseImage, BuildError, BuildEvent, BuildRequest, BuildResult, ErrorClass, Images, LocalContext, OutputStream,
    PortError, Ports, PullPolicy, Step, StepOutput, StepRunner, Vertex, build,
};
use ferry_oci::{Descriptor, Digest, ImageConfig, Platform, Reference, media_type};
use ferry_store::{Limits, Store};
use tempfile::TempDir;

/// Everything that a build needs.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) runner: Arc<ScriptRunner>,
    pub(crate) images: Arc<ListedImages>,
}

/// A build that has ended.
pub(crate) struct Outcome {
    pub(crate) result: Result<BuildResult, BuildError>,
    pub(crate) events: Vec<BuildEvent>,
    /// How many processes ran.
    pub(crate) runs: usize,
}

/// Whether tests that write layers can run: those need owners and overlay attributes.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}

pub(crate) fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("context")).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self {
            runner: Arc::default(),
            images: Arc::new(ListedImages {
                store: store.clone(),
                images: Mutex::default(),
            }),
            store,
            folder,
        }
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    /// Writes a file of the context, with mode 0644.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        write(&self.context().join(path), text);
        self
    }

    /// Adds a base image of one layer with these files.
    pub(crate) fn base(&self, name: &str, platform: &str, entries: &[Entry], config: &str) -> &Self {
        self.images.add(name, platform, &tar(entries), config);
        self
    }

    pub(crate) fn request(&self, platforms: &[&str]) -> BuildRequest {
        let mut request = BuildRequest::new(platform("linux/amd64"));
        request.platforms = platforms.iter().map(|text| platform(text)).collect();
        request
    }

    /// Builds for linux/amd64.
    pub(crate) fn build(&self, dockerfile: &str) -> Outcome {
        self.build_as(dockerfile, self.request(&["linux/amd64"]))
    }

    pub(crate) fn build_as(&self, dockerfile: &str, request: BuildRequest) -> Outcome {
        let path = self.folder.path().join("Dockerfile");
        std::fs::write(&path, dockerfile).unwrap();
        let ports = Ports {
            store: self.store.clone(),
            images: self.images.clone(),
            runner: self.runner.clone(),
            context: LocalContext::new(self.context(), path),
        };
        let before = self.runner.runs.load(Ordering::SeqCst);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (result, events) = runtime.block_on(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(16);
            let collecting = tokio::spawn(async move {
                let mut events = Vec::new();
                while let Some(event) = receiver.recv().await {
                    events.push(event);
                }
                events
            });
            let result = build(request, &ports, sender).await;
            (result, collecting.await.unwrap())
        });
        assert_eq!(self.store.snapshots().list().unwrap(), [], "a build leaves no snapshot");
        Outcome {
            result,
            events,
            runs: self.runner.runs.load(Ordering::SeqCst) - before,
        }
    }

    /// The entries of layer `index`, counted from the top, 0 being the last.
    pub(crate) fn layer(&self, outcome: &Outcome, index: usize) -> Vec<Entry> {
        let config = &outcome.result.as_ref().unwrap().images[0].config;
        let layers = &config.rootfs.diff_ids;
        let mut bytes = Vec::new();
        let layer = &layers[layers.len() - 1 - index];
        self.store.layers().write_tar(layer, &mut bytes).unwrap();
        untar(&bytes)
    }
}

impl Outcome {
    pub(crate) fn digest(&self) -> String {
        self.result.as_ref().unwrap().target.digest().to_string()
    }

    pub(crate) fn config(&self) -> &ImageConfig {
        &self.result.as_ref().unwrap().images[0].config
    }

    pub(crate) fn error(&self) -> &BuildError {
        self.result.as_ref().unwrap_err()
    }

    /// Each vertex as it was told last, in order of names.
    pub(crate) fn vertices(&self) -> BTreeMap<String, Vertex> {
        let mut vertices = BTreeMap::new();
        for event in &self.events {
            if let BuildEvent::Vertex(vertex) = event {
                vertices.insert(vertex.name.clone(), vertex.clone());
            }
        }
        vertices
    }

    /// The numbered steps that were not cached.
    pub(crate) fn worked(&self) -> Vec<String> {
        self.vertices()
            .into_values()
            .filter(|vertex| vertex.name.starts_with('[') && !vertex.name.starts_with("[internal]"))
            .filter(|vertex| !vertex.cached && vertex.completed.is_some())
            .map(|vertex| vertex.name)
            .collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                BuildEvent::Warning(warning) => Some(warning.short.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            if let BuildEvent::Log(log) = event {
                text.push_str(&String::from_utf8_lossy(&log.data));
            }
        }
        text
    }
}

/// One entry of a tar, as tests write and compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: u64,
    pub(crate) content: String,
}

/// A file of root's, 0644.
pub(crate) fn file(path: &str, content: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        kind: 'f',
        mode: 0o644,
        owner: (0, 0),
        mtime: 0,
        content: content.to_owned(),
    }
}

/// A directory of root's, 0755.
pub(crate) fn directory(path: &str) -> Entry {
    Entry {
        kind: 'd',
        mode: 0o755,
        ..file(path, "")
    }
}

/// A symbolic link; `target` is its content.
pub(crate) fn link(path: &str, target: &str) -> Entry {
    Entry {
        kind: 'l',
        mode: 0o777,
        ..file(path, target)
    }
}

/// Another name of `target`.
pub(crate) fn hard_link(path: &str, target: &str) -> Entry {
    Entry {
        kind: 'h',
        ..file(path, target)
    }
}

impl Entry {
    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// `d 755 0:0 a/b` or `f 644 0:0 a/b=content`: all but the time.
    pub(crate) fn line(&self) -> String {
        let (uid, gid) = self.owner;
        let line = format!("{} {:o} {uid}:{gid} {}", self.kind, self.mode, self.path);
        match self.content.as_str() {
            "" => line,
            content => format!("{line}={content}"),
        }
    }
}

pub(crate) fn lines(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(Entry::line).collect()
}

pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.0);
        header.set_gid(entry.owner.1);
        header.set_mtime(entry.mtime);
        header.set_size(0);
        match entry.kind {
            'd' => header.set_entry_type(tar::EntryType::Directory),
            'l' | 'h' => {
                header.set_entry_type(match entry.kind {
                    'l' => tar::EntryType::Symlink,
                    _ => tar::EntryType::Link,
                });
                builder.append_link(&mut header, &entry.path, &entry.content).unwrap();
                continue;
            }
            _ => header.set_size(entry.content.len() as u64),
        }
        let content = if entry.kind == 'd' { "" } else { &entry.content };
        builder
            .append_data(&mut header, &entry.path, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn untar(bytes: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(bytes);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let header = entry.header();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                tar::EntryType::Link => 'h',
                tar::EntryType::Regular => 'f',
                _ => '?',
            };
            if let Some(target) = entry.link_name().unwrap() {
                content = target.to_string_lossy().into_owned();
            }
            Entry {
                path: entry.path().unwrap().to_string_lossy().trim_end_matches('/').to_owned(),
                kind,
                mode: header.mode().unwrap() & 0o7777,
                owner: (header.uid().unwrap(), header.gid().unwrap()),
                mtime: header.mtime().unwrap(),
                content,
            }
        })
        .collect()
}

/// Base images by name and platform.
pub(crate) struct ListedImages {
    store: Store,
    images: Mutex<BTreeMap<(String, String), BaseImage>>,
}

impl ListedImages {
    fn add(&self, name: &str, platform: &str, layer: &[u8], config: &str) {
        let diff_id = self.store.layers().unpack(layer, None, &Limits::default()).unwrap();
        let layer = self.store.layers().compress(&diff_id).unwrap();
        let wanted: Platform = platform.parse().unwrap();
        let mut config = ImageConfig::parse(config.as_bytes()).unwrap();
        config.os = wanted.os.clone();
        config.architecture = wanted.architecture.clone();
        config.variant = wanted.variant.clone();
        config.rootfs.diff_ids = vec![diff_id];
        let manifest = Digest::of(&serde_json::to_vec(&config).unwrap());
        let reference = Reference::parse(name).unwrap();
        let image = BaseImage {
            target: Descriptor::new(media_type::OCI_MANIFEST.into(), 1, manifest),
            reference: reference.clone(),
            manifest,
            config,
            layers: vec![(diff_id, layer)],
        };
        let key = (reference.to_string(), wanted.to_string());
        self.images.lock().unwrap().insert(key, image);
    }
}

#[async_trait]
impl Images for ListedImages {
    async fn resolve(
        &self,
        reference: &Reference,
        platform: &Platform,
        _policy: PullPolicy,
        _output: &StepOutput,
    ) -> Result<BaseImage, PortError> {
        let key = (reference.to_string(), platform.to_string());
        self.images.lock().unwrap().get(&key).cloned().ok_or_else(|| {
            let text = format!("{reference}: not found for {platform}");
            PortError::new(ErrorClass::NotFound, text)
        })
    }

    async fn fetch(&self, _image: &BaseImage, _output: &StepOutput) -> Result<(), PortError> {
        Ok(())
    }
}

/// Understands `write PATH TEXT`, `append PATH TEXT`, `touch PATH`, `mkdir PATH`, `rm PATH`, `env NAME PATH`, `platform PATH`, `print TEXT`,
/// `meet N` (waits until N steps have run at once) and `exit N`, separated by `;`, and edits the upper directory as an overlay would.
#[derive(Default)]
pub(crate) struct ScriptRunner {
    pub(crate) runs: AtomicUsize,
    pub(crate) steps: Mutex<Vec<Step>>,
    at_once: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

#[async_trait]
impl StepRunner for ScriptRunner {
    async fn run(&self, step: &Step, output: &StepOutput) -> Result<i32, PortError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.steps.lock().unwrap().push(step.clone());
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let result = self.script(step, output).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

impl ScriptRunner {
    async fn script(&self, step: &Step, output: &StepOutput) -> Result<i32, PortError> {
        let script = step.args.last().unwrap();
        if step.args[0] == "/missing" {
            let text = "exec: \"/missing\": no such file or directory";
            return Err(PortError::new(ErrorClass::Invalid, text));
        }
        for command in script.split([';', '\n']) {
            let words: Vec<&str> = command.trim().splitn(3, ' ').collect();
            let at = |path: &str| step.root.upper.join(path.trim_start_matches('/'));
            match words.as_slice() {
                ["write", path, text] => write(&at(path), text),
                ["append", path, text] => {
                    let old = std::fs::read_to_string(at(path))
                        .or_else(|_| read_below(step, path))
                        .unwrap_or_default();
                    write(&at(path), &format!("{old}{text}"));
                }
                ["mkdir", path] => make_folders(&at(path)),
                ["touch", path] => write(&at(path), ""),
                ["rm", path] => {
                    let _ = std::fs::remove_file(at(path));
                    make_folders(at(path).parent().unwrap());
                    let mode = rustix::fs::Mode::empty();
                    let kind = rustix::fs::FileType::CharacterDevice;
                    rustix::fs::mknodat(rustix::fs::CWD, at(path), kind, mode, 0).unwrap();
                }
                ["env", name, path] => {
                    let prefix = format!("{name}=");
                    let value = step.env.iter().find_map(|variable| variable.strip_prefix(&prefix));
                    write(&at(path), value.unwrap_or("unset"));
                }
                ["platform", path] => write(&at(path), &step.platform.to_string()),
                ["print", text @ ..] => {
                    let text = format!("{}\n", text.join(" "));
                    output.write(OutputStream::Stdout, text.into()).await;
                }
                ["meet", others] => {
                    let others: usize = others.parse().unwrap();
                    while self.most_at_once.load(Ordering::SeqCst) < others {
                        tokio::task::yield_now().await;
                    }
                }
                ["exit", code] => return Ok(code.parse().unwrap()),
                [""] => {}
                other => panic!("unknown command {other:?}"),
            }
        }
        Ok(0)
    }
}

fn read_below(step: &Step, path: &str) -> std::io::Result<String> {
    step.root
        .lower
        .iter()
        .find_map(|layer| std::fs::read_to_string(layer.join(path.trim_start_matches('/'))).ok())
        .ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// Writes a file with mode 0644, and its missing parents with 0755, whatever the umask.
fn write(path: &Path, text: &str) {
    make_folders(path.parent().unwrap());
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
}

fn make_folders(path: &Path) {
    if !path.exists() {
        make_folders(path.parent().unwrap());
        std::fs::create_dir(path).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
