//! Images in what Helm renders: Helm hands it to this program, which replaces them. Helm 3 calls a program, Helm 4 a plugin.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::Path;

use super::super::failed;
use super::Release;
use super::homes;
use crate::child::Tool;
use crate::image::replace::Replacements;
use crate::model::Cause;
use crate::yaml;

/// The first argument with which this program is called to render; the second is the file with the replacements.
const ARGUMENT: &str = "__replace-images";
/// The name of the plugin.
const PLUGIN: &str = "example-validator-images";
/// The file with the replacements.
const FILE: &str = "replacements.json";

/// How Helm is to be called, so that images are replaced.
pub(super) struct Rendering {
    pub tool: Tool,
    pub arguments: Vec<OsString>,
}

/// Writes what Helm needs to have images replaced; nothing if there are none to replace.
pub(super) fn arrange(release: &Release, major: u32) -> Result<Rendering, Box<Cause>> {
    let tool = release.tool.clone();
    if release.replacements.is_empty() {
        return Ok(Rendering { tool, arguments: Vec::new() });
    }
    let file = release.scratch.join(FILE);
    let written = write(release, &file).and_then(|()| if major >= 4 { plugin(release, &file) } else { Ok(()) });
    written.map_err(|error| {
        let message = format!("what Helm needs to replace images can't be written: {error}");
        failed("HelmFailed", message, "", String::new(), 0)
    })?;
    if major >= 4 {
        let mut plugins = release.scratch.join("plugins").into_os_string();
        plugins.push(":");
        plugins.push(tool.variable("HELM_PLUGINS").map_or_else(|| homes::plugins(tool.environment()), OsStr::to_owned));
        let arguments = vec!["--post-renderer".into(), PLUGIN.into()];
        return Ok(Rendering { tool: tool.with("HELM_PLUGINS", plugins), arguments });
    }
    let mut arguments: Vec<OsString> = vec!["--post-renderer".into(), release.renderer.clone().into_os_string()];
    for argument in [OsString::from(ARGUMENT), file.into_os_string()] {
        arguments.extend(["--post-renderer-args".into(), argument]);
    }
    Ok(Rendering { tool, arguments })
}

fn write(release: &Release, file: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(&release.scratch)?;
    std::fs::write(file, serde_json::to_vec(&release.replacements)?)
}

/// A plugin is a folder with a description. Helm splits its command at spaces, so it gets a name without any.
fn plugin(release: &Release, file: &Path) -> std::io::Result<()> {
    let folder = release.scratch.join("plugins").join(PLUGIN);
    std::fs::create_dir_all(&folder)?;
    let link = folder.join("render");
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(&release.renderer, link)?;
    }
    std::fs::write(folder.join("plugin.yaml"), description(file))
}

fn description(file: &Path) -> String {
    let arguments = [ARGUMENT.to_owned(), file.display().to_string()];
    let description = serde_json::json!({
        "apiVersion": "v1",
        "name": PLUGIN,
        "version": env!("CARGO_PKG_VERSION"),
        "type": "postrenderer/v1",
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [{"command": "${HELM_PLUGIN_DIR}/render", "args": arguments}]},
    });
    // JSON is YAML.
    format!("{description:#}\n")
}

/// Renders what stands on standard input to standard output, if this program was called by Helm to do so: the exit code then.
#[must_use]
pub fn post_render(arguments: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let file = arguments.next()?;
    let mut manifests = String::new();
    let rendered = std::fs::read(&file)
        .map_err(|error| format!("can't read {}: {error}", file.display()))
        .and_then(|text| serde_json::from_slice::<Replacements>(&text).map_err(|error| error.to_string()))
        .and_then(|replacements| {
            std::io::stdin().read_to_string(&mut manifests).map_err(|error| error.to_string())?;
            render(&manifests, &replacements)
        })
        .and_then(|rendered| std::io::stdout().write_all(rendered.as_bytes()).map_err(|error| error.to_string()));
    match rendered {
        Ok(()) => Some(0),
        Err(why) => {
            anstream::eprintln!("example-validator can't replace images: {why}");
            Some(1)
        }
    }
}

/// The manifests with their images replaced: each document as JSON, which is YAML. What has nothing to replace is not touched at all.
fn render(manifests: &str, replacements: &Replacements) -> Result<String, String> {
    let parsed = yaml::parse(manifests);
    if let Some(error) = parsed.errors.first() {
        return Err(error.message.clone());
    }
    let (mut rendered, mut any) = (String::new(), false);
    for document in &parsed.documents {
        let mut object = document.root.to_json();
        any |= replacements.apply(&mut object);
        rendered.push_str(&format!("---\n{object}\n"));
    }
    Ok(if any { rendered } else { manifests.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::replace::Target;

    fn replacements() -> Replacements {
        let mut replacements = Replacements::default();
        let target = Target { reference: "example/op:ev-1".to_owned(), loaded: true };
        replacements.insert("example.test/op", target);
        replacements
    }

    const RENDERED: &str = "---
# Source: op/templates/a.yaml
kind: ConfigMap
metadata:
  annotations: {postrenderer.helm.sh/postrender-filename: op/templates/a.yaml}
data: {image: 'example.test/op:1', mode: 'yes', octal: 0644}
---
kind: Pod
spec: {containers: [{name: a, image: 'example.test/op:1'}]}
";

    #[test]
    fn documents_keep_everything_but_their_images() {
        let rendered = render(RENDERED, &replacements()).unwrap();
        let documents: Vec<serde_json::Value> = rendered
            .split("---\n")
            .filter(|text| !text.is_empty())
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let (file, data) = ("op/templates/a.yaml", &documents[0]["data"]);
        assert_eq!(documents[0]["metadata"]["annotations"]["postrenderer.helm.sh/postrender-filename"], file);
        assert_eq!((&data["mode"], &data["octal"]), (&serde_json::json!("yes"), &serde_json::json!(420)));
        let container = &documents[1]["spec"]["containers"][0];
        assert_eq!(
            (&container["image"], &container["imagePullPolicy"]),
            (&"example/op:ev-1".into(), &"IfNotPresent".into())
        );
    }

    #[test]
    fn what_has_nothing_to_replace_stays_as_it_is() {
        assert_eq!(render(RENDERED, &Replacements::default()).unwrap(), RENDERED);
        assert!(render("a: [", &replacements()).is_err());
    }

    #[test]
    fn the_program_is_called_to_render_by_its_first_argument_alone() {
        assert_eq!(post_render(["example-validator", "run"].map(OsString::from)), None);
        assert_eq!(post_render(["example-validator"].map(OsString::from)), None);
        assert_eq!(post_render(["x", ARGUMENT, "/no/such/file"].map(OsString::from)), Some(1));
    }

    #[test]
    fn the_plugin_is_described_as_helm_4_wants_it() {
        let text = description(Path::new("/scratch/replacements.json"));
        let plugin: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(plugin["type"], "postrenderer/v1");
        let command = &plugin["runtimeConfig"]["platformCommand"][0];
        assert_eq!(command["command"], "${HELM_PLUGIN_DIR}/render");
        assert_eq!(command["args"][1], "/scratch/replacements.json");
    }
}
