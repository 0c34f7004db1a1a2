//! Every code's page has a bad and a good example: the bad one must fire that code and no other, the good one must not.

#![expect(clippy::unwrap_used, reason = "a broken page is a failure of the test")]

use std::collections::BTreeSet;
use std::path::Path;

use example_validator::catalog::{self, Overrides};
use example_validator::config::Config;
use example_validator::diagnostic::Source;
use example_validator::framework::Frameworks;
use example_validator::image_reference::ImageReference;
use example_validator::lint::explain::{Explanation, explanations};
use example_validator::lint::registry::{Answer, Answers};
use example_validator::lint::schemas::Schemas;
use example_validator::lint::{self, code};

/// The codes that a page's manifest fires, judged with the page's context as the program would judge it.
fn fired(page: &Explanation, manifest: &str) -> BTreeSet<&'static str> {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "examples/example.yaml", manifest);
    let mut paths = vec![root.path().join("examples/example.yaml")];
    if let Some(other) = &page.context.other {
        write(root.path(), "examples/other.yaml", other);
        paths.push(root.path().join("examples/other.yaml"));
    }
    let config = config(page);
    let frameworks = Frameworks::default();
    let catalog =
        catalog::load(root.path(), &config, &Overrides { paths, ..Overrides::default() }, &frameworks).unwrap();
    let crds = page.context.crd.iter().map(|crd| Source::new("crd.yaml", crd.as_str())).collect();
    let (schemas, broken) = Schemas::load(crds);
    assert!(broken.is_empty(), "{}: {broken:?}", page.code);
    let registries = registries(page);
    let context = lint::Context {
        config: &config,
        frameworks: &frameworks,
        schemas: &schemas,
        operator: Some(&[]),
        registries: &registries,
    };
    let checked = lint::check(&catalog, &context);
    let place = catalog.examples.iter().position(|example| example.id.as_str() == "examples/example.yaml").unwrap();
    checked[place].diagnostics.iter().filter_map(|diagnostic| diagnostic.code).collect()
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn config(page: &Explanation) -> Config {
    let mut text = format!("version: 1\nkubernetes: {:?}\nimages:\n", page.context.kubernetes);
    for image in &page.context.images {
        text.push_str(&format!("  - {{name: {image}, context: .}}\n"));
    }
    example_validator::config::load(&Source::new("config.yml", text)).unwrap()
}

fn registries(page: &Explanation) -> Answers {
    let answer = |word: &str| match word {
        "absent" => Answer::Absent("manifest unknown".to_owned()),
        _ => Answer::Unknown("429 Too Many Requests".to_owned()),
    };
    page.context.registry.iter().map(|(image, word)| (ImageReference::parse(image).unwrap(), answer(word))).collect()
}

#[test]
fn every_bad_example_fires_its_code_and_no_other() {
    let wrong: Vec<_> = explanations()
        .iter()
        .map(|page| (page.code.as_str(), fired(page, &page.bad)))
        .filter(|(code, fired)| !fired.iter().eq([code]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn no_good_example_fires_anything() {
    let wrong: Vec<_> = explanations()
        .iter()
        .map(|page| (page.code.as_str(), fired(page, &page.good)))
        .filter(|(_, fired)| !fired.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn there_is_a_page_for_every_code() {
    assert!(explanations().iter().map(|page| page.code.as_str()).eq(code::ALL.iter().copied()));
}
