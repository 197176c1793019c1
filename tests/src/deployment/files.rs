//! The files that deploy the product, as those read them who act by them: Compose, Docker.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The project's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the project.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML file of the project, its anchors merged.
pub fn yaml(path: impl AsRef<Path>) -> Value {
    let text = text(path.as_ref());
    serde_saphyr::from_str(&text)
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The words of a list.
pub fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    words.iter().map(word).collect()
}

/// One word.
pub fn word(value: &Value) -> String {
    let word = value.as_str();
    word.unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The compose file.
pub struct Compose(Value);

/// One service of it.
pub struct Service {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub value: Value,
}

impl Compose {
    /// The file with these variables; the defaults stand in for others.
    ///
    /// # Panics
    /// A variable that is required is not among them.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().copied().collect();
        Self(filled(&yaml("docker-compose.yml"), &variables))
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        let services = self.0["services"].as_object().expect("services");
        services.iter().map(|(name, value)| Service {
            name: name.clone(),
            value: value.clone(),
        })
    }

    /// The services that are ours.
    pub fn roles(&self) -> Vec<Service> {
        let ours = |service: &Service| service.value.get("build").is_some();
        self.services().filter(ours).collect()
    }

    /// The service of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn service(&self, name: &str) -> Service {
        let mut services = self.services();
        let service = services.find(|service| service.name == name);
        service.unwrap_or_else(|| panic!("no service {name} in docker-compose.yml"))
    }

    /// The names of the volumes that it declares.
    pub fn volumes(&self) -> Vec<String> {
        let volumes = self.0["volumes"].as_object().expect("volumes");
        volumes.keys().cloned().collect()
    }
}

impl Service {
    /// Its environment.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.value["environment"].as_object();
        variables
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), word(value)))
            .collect()
    }

    /// The ports that others may reach in its containers.
    pub fn ports(&self) -> Vec<u16> {
        let exposed = self.value.get("expose").map(words).unwrap_or_default();
        let published = self.published().into_iter().map(|(_, inside)| inside);
        let exposed = exposed.iter().map(|port| port.parse().expect("a port"));
        exposed.chain(published).collect()
    }

    /// Its ports on this machine, each with the one in the container.
    pub fn published(&self) -> Vec<(u16, u16)> {
        let ports = self.value.get("ports").map(words).unwrap_or_default();
        let pair = |text: &String| {
            let (outside, inside) = text.rsplit_once(':').expect("outside:inside");
            let outside = outside.rsplit(':').next().unwrap();
            (outside.parse().unwrap(), inside.parse().unwrap())
        };
        ports.iter().map(pair).collect()
    }

    /// What is mounted, each with its place in the container.
    pub fn mounts(&self) -> Vec<(String, String)> {
        let volumes = self.value.get("volumes").map(words).unwrap_or_default();
        let pair = |text: &String| {
            let mut parts = text.split(':');
            let (from, to) = (parts.next().unwrap(), parts.next().expect("from:to"));
            (from.to_owned(), to.to_owned())
        };
        volumes.iter().map(pair).collect()
    }

    /// The file of the project that is mounted at this path of the container.
    ///
    /// # Panics
    /// There is none.
    pub fn file(&self, path: &str) -> PathBuf {
        let mounts = self.mounts();
        let found = mounts.iter().find_map(|(from, to)| {
            let below = Path::new(path).strip_prefix(to).ok()?;
            from.starts_with("./").then(|| Path::new(from).join(below))
        });
        found.unwrap_or_else(|| panic!("{}: nothing is mounted at {path}", self.name))
    }
}

/// The variables that must be given, with what is said to whoever does not.
pub fn required() -> BTreeMap<String, String> {
    let mut required = BTreeMap::new();
    visit(&yaml("docker-compose.yml"), &mut |text| {
        for part in text.split("${").skip(1) {
            let (expression, _) = part.split_once('}').expect("}");
            if let Some((name, message)) = expression.split_once(":?") {
                required.insert(name.to_owned(), message.to_owned());
            }
        }
    });
    required
}

/// Calls `visitor` with each text.
pub fn visit(value: &Value, visitor: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => visitor(text),
        Value::Array(values) => values.iter().for_each(|value| visit(value, visitor)),
        Value::Object(entries) => entries.values().for_each(|value| visit(value, visitor)),
        _ => {}
    }
}

fn filled(value: &Value, variables: &BTreeMap<&str, &str>) -> Value {
    match value {
        Value::String(text) => Value::String(interpolated(text, variables)),
        Value::Array(values) => values.iter().map(|v| filled(v, variables)).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, variables)))
            .collect(),
        other => other.clone(),
    }
}

/// By the rules of the Compose Specification ("Interpolation"), as far as the file uses them.
fn interpolated(text: &str, variables: &BTreeMap<&str, &str>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        let (expression, after) = braced.unwrap_or_else(|| panic!("no ${{...}} in {text:?}"));
        let (name, default) = match expression.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (expression.split(":?").next().unwrap(), None),
        };
        let value = variables.get(name).copied().or(default);
        out.push_str(value.unwrap_or_else(|| panic!("{name} has no value")));
        rest = after;
    }
    out + rest
}

/// The Dockerfile's last stage, which is the image.
pub struct Image(Vec<(String, String)>);

impl Image {
    /// Reads it.
    pub fn read() -> Self {
        let instructions = dockerfile();
        let last = instructions.iter().rposition(|(name, _)| name == "FROM");
        Self(instructions[last.expect("FROM")..].to_vec())
    }

    /// The argument of the only instruction of this name.
    ///
    /// # Panics
    /// There is none, or more than one.
    pub fn only(&self, name: &str) -> &str {
        let found = self.all(name);
        assert_eq!(found.len(), 1, "how often the image says {name}");
        found[0]
    }

    /// The words of the only instruction of this name, which may have flags before them.
    ///
    /// # Panics
    /// They are not in the form of a list: a shell would be needed.
    pub fn list(&self, name: &str) -> Vec<String> {
        let argument = self.only(name);
        let start = argument.find('[').unwrap_or_else(|| panic!("{argument}"));
        words(&serde_json::from_str(&argument[start..]).expect("a list"))
    }

    /// The environment that it sets.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').expect("NAME=value");
            (name.to_owned(), value.to_owned())
        };
        self.all("ENV").into_iter().map(pair).collect()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, argument)| argument.as_str()).collect()
    }
}

/// The instructions of the Dockerfile, all stages.
pub fn dockerfile() -> Vec<(String, String)> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, argument) = line.split_once(' ').expect("an argument");
            (name.to_owned(), argument.trim().to_owned())
        })
        .collect()
}
