//! The real name that somebody probably meant.

/// The candidate with the smallest edit distance to `name`, when it is near enough to be meant; or
/// else one of which `name` is the first word (`due` of `due_at`), or which it lengthens (`length`
/// for `len`).
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let length = name.chars().count();
    let most = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let real = candidate.to_ascii_lowercase();
            // No nearer than by the difference of their lengths. A script may name hundreds that
            // do not exist, and measuring each against all would take seconds.
            let alike = real.chars().count().abs_diff(length) <= most;
            let by_letters = alike
                .then(|| distance(&name, &real))
                .filter(|distance| *distance <= most);
            let by_word = begins(&real, &name) || begins(&name, &real);
            Some((by_letters.or(by_word.then_some(usize::MAX))?, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Whether `short`, of three letters or more, is the beginning of `long`, and not of a word in it.
fn begins(long: &str, short: &str) -> bool {
    let rest = long.strip_prefix(short);
    short.len() >= 3 && rest.is_some_and(|rest| rest.starts_with('_') || short == "len")
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours
/// (Damerau 1964). Names longer than any of ours are far from all of them.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let a: Vec<char> = a.chars().take(LONGEST).collect();
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j - 1] + other)
                .min(rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_real_name() {
        let names = ["title", "status", "due_at", "assignee"];
        assert_eq!(nearest("titel", names), Some("title"));
        assert_eq!(nearest("due", ["due_at", "id"]), Some("due_at"));
        assert_eq!(nearest("length", ["bytes", "len"]), Some("len"));
        assert_eq!(nearest("dueat", names), Some("due_at"));
        assert_eq!(nearest("asignee", names), Some("assignee"));
        assert_eq!(nearest("colour", names), None);
    }
}
