//! The language: one engine, built once, that compiles and runs every script.

use crate::analysis::{self, Analysis, Signatures};
use crate::diagnostic::Code;
use crate::words::{self, Word, Words};
use crate::{Diagnostic, Limits, Program, action, meter, waiting, world};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Dynamic, Engine, OptimizationLevel, Scope};
use smarttasks_model::Trigger;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Once};

/// The language with its limits. Building one takes about a millisecond; share it.
pub struct Language {
    pub(crate) engine: Engine,
    pub(crate) limits: Arc<Limits>,
    /// The names of `world::NAMES`, so that the parser knows them.
    names: Scope<'static>,
    words: Vec<Word>,
    /// Every function that a script may call, with the numbers of its arguments.
    pub(crate) functions: BTreeMap<String, BTreeSet<usize>>,
    /// The same functions with the types of their arguments.
    pub(crate) signatures: Signatures,
}

impl Language {
    /// The language under `limits`.
    pub fn new(limits: Limits) -> Arc<Self> {
        Self::with(Arc::new(limits), |_| ())
    }

    /// The same language with what `extend` teaches it besides.
    pub(crate) fn extended(&self, extend: impl FnOnce(&mut Engine)) -> Arc<Self> {
        Self::with(Arc::clone(&self.limits), extend)
    }

    fn with(limits: Arc<Limits>, extend: impl FnOnce(&mut Engine)) -> Arc<Self> {
        fix_hashing();
        let (mut engine, words) = engine(&limits);
        extend(&mut engine);
        let mut names = Scope::new();
        for name in world::NAMES {
            names.push_constant(*name, ());
        }
        Arc::new(Self {
            functions: words::functions(&words),
            signatures: Signatures::of(&engine),
            words,
            engine,
            limits,
            names,
        })
    }

    /// Every word that a script may use, in the order of the reference.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Compiles a script. Whether it should be stored is for [`analyse`](Self::analyse) to say:
    /// what is stored already runs, however much more the analysis has learnt to find since.
    ///
    /// A hostile script needs more stack than an ordinary thread has: call this on a [`Pool`].
    ///
    /// [`Pool`]: crate::Pool
    ///
    /// # Errors
    /// What the parser refuses, with its place.
    pub fn compile(self: &Arc<Self>, script: &str) -> Result<Program, Vec<Diagnostic>> {
        let ast = self.parse(script).map_err(|found| vec![found])?;
        let candidates = analysis::candidates(self, script, &ast);
        Ok(Program::new(Arc::clone(self), script, ast, candidates))
    }

    /// Everything that can be said about a script without running it. As for
    /// [`compile`](Self::compile), on a [`Pool`](crate::Pool).
    pub fn analyse(&self, script: &str, triggers: &[Trigger]) -> Analysis {
        match self.parse(script) {
            Ok(ast) => analysis::analyse(self, script, &ast, triggers),
            Err(found) => Analysis {
                diagnostics: vec![found],
                ..Analysis::default()
            },
        }
    }

    pub(crate) fn parse(&self, script: &str) -> Result<AST, Diagnostic> {
        let most = self.limits.source_bytes;
        if script.len() > most {
            return Err(Diagnostic::error(
                Code::LimitSource,
                rhai::Position::NONE,
                format!(
                    "the script has {} bytes; at most {most} are allowed",
                    script.len()
                ),
            )
            .hint("split the rule into several"));
        }
        // A byte-order mark, which editors add unseen, is a syntax error to Rhai.
        let script = script.strip_prefix('\u{feff}').unwrap_or(script);
        self.engine
            .compile_with_scope(&self.names, script)
            .map_err(|error| analysis::explain(&self.engine, script, &error))
    }
}

impl std::fmt::Debug for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Language")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Names of anonymous functions derive from this seed. Random, they would differ from process
/// to process, and with them what a script can observe.
fn fix_hashing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only where somebody else has fixed it, which serves as well.
        let _ = rhai::config::hashing::set_hashing_seed(Some([0x5349, 0x4d50, 0x4c45, 0x5441]));
    });
}

#[expect(
    deprecated,
    reason = "Rhai marks on_var and on_def_var so because they may change; its version is pinned"
)]
fn engine(limits: &Arc<Limits>) -> (Engine, Vec<Word>) {
    let mut engine = Engine::new_raw();
    engine.register_global_module(Harmless::new().as_shared_module());
    bound(&mut engine, limits);
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.disable_symbol("eval");
    engine.on_var(|name, index, _| match index {
        // A local variable, which never bears a host name.
        1.. => Ok(None),
        0 => world::resolve(name),
    });
    engine.on_def_var(|_, variable, _| Ok(!world::NAMES.contains(&variable.name())));
    let counted = Arc::clone(limits);
    engine.on_progress(move |_| meter::step(&counted).err().map(|_| Dynamic::UNIT));
    action::listen(&mut engine);
    let mut words = Words::new(engine);
    world::define(&mut words);
    action::define(&mut words);
    waiting::define(&mut words);
    words.finish()
}

rhai::def_package! {
    /// The standard packages but for those that do harm here: the language core (a `sleep` that
    /// blocks the thread, `parse_json`, reflection), byte strings and bit fields, and the clock.
    /// One package, because every call is looked up in each.
    Harmless(_module):
        ArithmeticPackage,
        LogicPackage,
        BasicMathPackage,
        BasicStringPackage,
        MoreStringPackage,
        BasicIteratorPackage,
        BasicFnPackage,
        BasicArrayPackage,
        BasicMapPackage
    {
    }
}

/// Rhai's own limits. They stand beside our counting because a native function, such as `+` on
/// two long texts, is over before anybody counts.
fn bound(engine: &mut Engine, limits: &Limits) {
    engine
        .set_max_call_levels(limits.call_depth)
        .set_max_expr_depths(limits.expr_depth, limits.expr_depth)
        .set_max_string_size(limits.string_bytes)
        .set_max_array_size(limits.array_len)
        .set_max_map_size(limits.map_len)
        .set_max_variables(limits.variables)
        .set_max_functions(limits.functions);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WordKind;

    /// Words that Rhai's parser knows, and no package.
    const SYNTAX: &[&str] = &["call", "curry", "type_of", "Fn", "is_def_var", "is_def_fn"];

    /// The functions that the engine has, with the numbers of their arguments.
    fn registered(language: &Language) -> BTreeMap<String, BTreeSet<usize>> {
        let mut functions: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let all = language.engine.collect_fn_metadata(
            None,
            |function| {
                Some((
                    function.metadata.name.to_string(),
                    function.metadata.num_params,
                ))
            },
            true,
        );
        for (name, arguments) in all {
            functions.entry(name).or_default().insert(arguments);
        }
        functions
    }

    fn is_word(name: &str) -> bool {
        name.starts_with(char::is_alphabetic) && !name.contains('$')
    }

    #[test]
    fn every_function_of_the_engine_is_told_of_and_every_one_told_of_is_there() {
        let language = Language::new(Limits::default());
        let mut there = registered(&language);
        there.retain(|name, _| is_word(name));
        let mut told = language.functions.clone();
        told.retain(|name, _| !SYNTAX.contains(&name.as_str()));
        let missing: Vec<_> = there
            .iter()
            .filter(|&(name, counts)| told.get(name) != Some(counts))
            .map(|(name, counts)| format!("{name}: {counts:?}, told: {:?}", told.get(name)))
            .collect();
        assert_eq!(missing, [""; 0]);
        let invented: Vec<_> = told
            .keys()
            .filter(|name| !there.contains_key(*name))
            .collect();
        assert_eq!(invented, [""; 0]);
    }

    #[test]
    fn every_field_and_operator_of_the_engine_is_told_of() {
        let language = Language::new(Limits::default());
        let told = |name: &str, kinds: &[WordKind]| {
            language
                .words
                .iter()
                .any(|word| word.name == name && kinds.contains(&word.kind))
        };
        for name in registered(&language).keys().filter(|name| !is_word(name)) {
            if let Some(field) = name.strip_prefix("get$") {
                use WordKind::{Field, Function, Method};
                assert!(told(field, &[Field, Method, Function]), "{field}");
            } else if name.contains('$') {
                // Indexes, by which refusals come about.
            } else {
                let operator = match name.strip_suffix('=') {
                    Some(plain) if !matches!(name.as_str(), "==" | "!=" | "<=" | ">=") => plain,
                    _ => name,
                };
                assert!(told(operator, &[WordKind::Operator]), "{name}");
            }
        }
    }

    #[test]
    fn the_names_of_the_language_are_those_that_resolve() {
        let language = Language::new(Limits::default());
        let told = language.words.iter();
        let told = told.filter(|word| matches!(word.kind, WordKind::Name | WordKind::Constant));
        let told: Vec<_> = told.map(|word| word.name).collect();
        assert_eq!(told, world::NAMES);
    }

    #[test]
    fn the_actions_of_the_language_are_those_that_the_analyser_looks_for() {
        let language = Language::new(Limits::default());
        let told = language
            .words
            .iter()
            .filter(|word| word.kind == WordKind::Action);
        let told: BTreeSet<_> = told.map(|word| (word.name, word.of.is_some())).collect();
        let known = action::CALLS.iter();
        let known: BTreeSet<_> = known
            .map(|(name, action)| (*name, action.contains('.')))
            .collect();
        assert_eq!(told, known);
    }

    #[test]
    fn the_waits_of_the_language_are_those_that_the_analyser_looks_for() {
        let language = Language::new(Limits::default());
        let told = language.words.iter();
        let told = told.filter(|word| word.topic == "Waiting");
        let told: Vec<_> = told.map(|word| word.name).collect();
        assert_eq!(told, waiting::CALLS);
    }

    #[test]
    fn every_word_is_told_once_with_a_doc_and_an_example() {
        let language = Language::new(Limits::default());
        let mut seen = BTreeSet::new();
        for word in &language.words {
            assert!(seen.insert(word.signature), "{} twice", word.signature);
            assert!(
                word.doc.ends_with(['.', '…']) && !word.example.is_empty(),
                "{}",
                word.signature
            );
            assert!(
                !word.topic.is_empty() && word.signature.contains(word.name),
                "{}",
                word.signature
            );
        }
    }
}
