//! Lists and maps: put in order, padded, written out.

use crate::support::World;
use serde_json::json;

#[test]
fn a_list_is_sorted_by_a_number_or_by_what_comes_first() {
    let world = World::new();
    let sorted = "{ let a = [3, 1, 2]; a.sort(|x, y| y - x); a }";
    assert_eq!(world.value(sorted), json!([3, 2, 1]));
    let sorted = "{ let a = [3, 1, 2]; a.sort_by(|x, y| x < y); a }";
    assert_eq!(world.value(sorted), json!([1, 2, 3]));
    let stable = "[#{ n: 1, of: 1 }, #{ n: 0, of: 2 }, #{ n: 1, of: 3 }].order(|x, y| x.n - y.n).map(|x| x.of)";
    assert_eq!(world.value(stable), json!([2, 1, 3]));
    let script = "fn down(x, y) { y - x } let a = [1, 3, 2]; a.sort(\"down\"); a.dedup(Fn(\"down\")); webhook(\"x\", a);";
    assert_eq!(world.actions(script).len(), 1, "by the name of a function");
    let constant = "const A = [2, 1]; webhook(\"x\", A.order_by(|x, y| x - y));";
    assert_eq!(world.actions(constant).len(), 1);
}

#[test]
fn a_function_that_cannot_compare_is_an_error_of_the_call() {
    let world = World::new();
    let error = world.error("let a = [2, 1]; a.sort(|x, y| \"less\");");
    assert!(error.message.contains("it answered with a text"), "{error}");
    let error = world.error("let a = [2, 1]; a.sort(|x, y| x / 0);");
    assert_eq!(error.code, "arithmetic");
    let error = world.error("let a = [2, 1]; a.dedup(|x, y| x / 0);");
    assert_eq!(error.code, "arithmetic");
}

#[test]
fn neighbours_that_are_called_the_same_are_one() {
    let world = World::new();
    let value = "{ let a = [1, 2, 2, 3, 3, 1]; a.dedup(|x, y| x == y); a }";
    assert_eq!(world.value(value), json!([1, 2, 3, 1]));
    let value = "{ let a = [1, 2, 2, 3, 3, 1]; a.dedup(); a }";
    assert_eq!(world.value(value), json!([1, 2, 3, 1]));
}

#[test]
fn a_list_is_padded_to_the_limit_and_no_further() {
    let world = World::new();
    let value = "{ let a = [1]; a.pad(3, 0); a.pad(2, 9); a.pad(-5, 9); a }";
    assert_eq!(world.value(value), json!([1, 0, 0]));
    let error = world.error("let a = []; a.pad(4097, 1);");
    assert_eq!(error.code, "limit_data");
}

#[test]
fn lists_and_maps_are_written_as_a_script_writes_them() {
    let world = World::new();
    let value =
        "{ const A = [1, \"a\\n\", #{ b: [()], \"x y\": 1.5 }, task, HIGH, days(1)]; `${A}` }";
    assert_eq!(
        world.value(value),
        r#"[1, "a\n", #{"b": [()], "x y": 1.5}, Renew certificate, high, 1d]"#
    );
    assert_eq!(world.value("[].to_string() + #{}.to_debug()"), "[]#{}");
}
