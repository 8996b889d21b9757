//! Tables for instructions: a few lines in, the config, the operations or the fault out.

use std::collections::HashMap;
use std::ops::Deref;

use ferry_oci::oci_spec::image::{DescriptorBuilder, MediaType};
use ferry_oci::{Digest, ImageConfig, Platform, Reference};

use crate::dockerfile::Dockerfile;
use crate::plan::{CopyOp, ImageKey, Op, Plan, Planned, PlannedImage, RunOp, plan};
use crate::{BaseImage, BuildRequest};

/// A Dockerfile to plan for linux/arm64.
pub(crate) struct Case {
    text: String,
    request: BuildRequest,
    images: HashMap<ImageKey, BaseImage>,
}

/// A planned image, whose config is at hand.
pub(crate) struct Image(PlannedImage);

impl Deref for Image {
    type Target = ImageConfig;

    fn deref(&self) -> &ImageConfig {
        &self.0.config
    }
}

impl Image {
    /// `created_by` of the stage's entry number `index`.
    pub(crate) fn created_by(&self, index: usize) -> &str {
        self.0.history[index].entry.created_by.as_deref().unwrap()
    }
}

pub(crate) fn platform() -> Platform {
    "linux/arm64".parse().unwrap()
}

impl Case {
    /// Instructions of one stage on nothing.
    pub(crate) fn new(lines: &str) -> Self {
        Self::whole(&format!("FROM scratch\n{lines}"))
    }

    /// A whole Dockerfile.
    pub(crate) fn whole(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            request: BuildRequest::new("linux/amd64".parse().unwrap()),
            images: HashMap::new(),
        }
    }

    pub(crate) fn build_arg(mut self, name: &str, value: &str) -> Self {
        self.request.build_args.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts the stage on an image with this config.
    pub(crate) fn base(mut self, config: &str) -> Self {
        self.text = self.text.replacen("FROM scratch", "FROM base", 1);
        let reference = Reference::parse("base").unwrap();
        let key = ImageKey {
            reference: reference.clone(),
            platform: platform(),
        };
        let mut config = ImageConfig::parse(config.as_bytes()).unwrap();
        config.config.env.insert(0, "PATH=/bin".to_owned());
        self.images.insert(key, base_image(reference, config));
        self
    }

    fn plan(&self) -> Result<Plan, String> {
        let file = Dockerfile::parse("Dockerfile", self.text.as_bytes()).map_err(|error| error.fault.to_string())?;
        let target = file.stages.len() - 1;
        match plan(&file, &self.request, target, &[platform()], &self.images) {
            Ok(Planned::Complete(plan)) => Ok(*plan),
            Ok(Planned::Needs(needs)) => Err(format!("needs {needs:?}")),
            Err(error) => Err(error.fault.to_string()),
        }
    }

    pub(crate) fn image(&self) -> Image {
        Image(self.plan().unwrap().images.remove(0))
    }

    pub(crate) fn runs(&self) -> Vec<RunOp> {
        let nodes = self.plan().unwrap().graph.nodes;
        nodes
            .into_iter()
            .filter_map(|node| match node.op {
                Op::Run(op) => Some(op),
                _ => None,
            })
            .collect()
    }
}

/// A base image without layers.
pub(crate) fn base_image(reference: Reference, config: ImageConfig) -> BaseImage {
    let manifest = Digest::of(&serde_json::to_vec(&config).unwrap());
    let target = DescriptorBuilder::default()
        .media_type(MediaType::ImageManifest)
        .digest(manifest)
        .size(0u64)
        .build()
        .unwrap();
    BaseImage {
        reference,
        target,
        manifest,
        config,
        layers: Vec::new(),
    }
}

/// The image that `lines` make.
pub(crate) fn apply(lines: &str) -> Image {
    Case::new(lines).image()
}

/// What is wrong with `lines`.
pub(crate) fn fault(lines: &str) -> String {
    Case::new(lines).plan().unwrap_err()
}

/// The RUNs of `lines`.
pub(crate) fn runs(lines: &str) -> Vec<RunOp> {
    Case::new(lines).runs()
}

/// The COPYs and ADDs of `lines`.
pub(crate) fn copies(lines: &str) -> Vec<CopyOp> {
    let nodes = Case::new(lines).plan().unwrap().graph.nodes;
    nodes
        .into_iter()
        .filter_map(|node| match node.op {
            Op::Copy(op) => Some(op),
            _ => None,
        })
        .collect()
}
