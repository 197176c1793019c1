use super::*;

#[test]
fn a_file_is_called_like_its_rule() {
    for (name, expected) in [
        ("Chase overdue work", "chase-overdue-work"),
        ("  ../../etc/passwd", "etc-passwd"),
        ("Grüße an ALLE!", "grüße-an-alle"),
        ("漢字", "漢字"),
        ("!?", "rule"),
        ("a\u{0}b/c\\d:e", "a-b-c-d-e"),
        (".hidden.", "hidden"),
    ] {
        assert_eq!(slug(name), expected);
    }
    let long = slug(&"ab ".repeat(100));
    assert!(
        long.chars().count() <= LONGEST && !long.ends_with('-'),
        "{long}"
    );
}

#[test]
fn rules_of_like_names_have_files_of_their_own() {
    let directory = Path::new("rules");
    let mut names = FileNames::default();
    names.take(&directory.join("Chase-2.rhai"));
    let free = ["Chase", "chase!", "CHASE", "Work"].map(|name| {
        let path = names.free(directory, name);
        path.to_string_lossy().into_owned()
    });
    let expected = ["chase", "chase-3", "chase-4", "work"].map(|name| format!("rules/{name}.rhai"));
    assert_eq!(free, expected);
}
