//! Our patches on upstream trees, in the form of `git am`, as patches/<project>/series lists them. Every hunk must fit
//! exactly.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use diffy::patch_set::{FileMode, FileOperation, ParseOptions, PatchKind, PatchSet};

use crate::inputs::unpack::is_plain_relative;

/// The patch files of a project, in order; none when it has no series.
pub fn series(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("series");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

pub fn apply_series(folder: &Path, tree: &Path) -> Result<()> {
    for name in series(folder)? {
        let path = folder.join(&name);
        let patch = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        apply(&patch, tree).with_context(|| {
            format!(
                "{} does not apply; mend it for this version of upstream",
                path.display()
            )
        })?;
    }
    Ok(())
}

/// Applies what `git format-patch` or `git diff` has printed. Nothing is passed over: a part of the text that cannot be
/// taken for a change of a file is an error, as is a hunk whose lines are not those of the file.
fn apply(text: &str, tree: &Path) -> Result<()> {
    let diff = diff_of(text)?;
    let count = |start: &str| diff.lines().filter(|line| line.starts_with(start)).count();
    if count("diff --git ") == 0 {
        bail!("a patch has the form that git format-patch and git diff print; here is no line \"diff --git\"");
    }
    let (mut files, mut hunks_applied) = (0, 0);
    for patch in PatchSet::parse(diff, ParseOptions::gitdiff()) {
        let patch = patch?;
        let operation = patch.operation().strip_prefix(1);
        let PatchKind::Text(hunks) = patch.patch() else {
            bail!("a binary patch")
        };
        let (name, is_new) = match &operation {
            FileOperation::Create(name) => (name, true),
            FileOperation::Modify { original, modified } if original == modified => (modified, false),
            other => bail!("a patch may create or change files, not {other:?}"),
        };
        let path = Path::new(name.as_ref());
        if !is_plain_relative(path) {
            bail!("the patch leaves the tree: {name}");
        }
        let expected_mode = is_new.then_some(&FileMode::Regular);
        if patch.old_mode().is_some() || patch.new_mode() != expected_mode {
            bail!("{name}: a patch may not change a file's mode, and what it creates is an ordinary file");
        }
        let path = tree.join(path);
        let before = if !is_new {
            fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?
        } else if path.exists() {
            bail!("{name} is to be created and is there already")
        } else {
            String::new()
        };
        let after = diffy::apply(&before, hunks).with_context(|| name.to_string())?;
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, after)?;
        files += 1;
        hunks_applied += hunks.hunks().len();
    }
    // The parser passes over what it does not know, and with it over the rest of a file's hunks.
    if files != count("diff --git ") || hunks_applied != count("@@ ") {
        bail!("something between the hunks is no part of a diff");
    }
    Ok(())
}

/// What stands below the text of a mail, which may itself quote a diff.
fn diff_of(text: &str) -> Result<&str> {
    if !text.starts_with("From ") {
        return Ok(text);
    }
    let (_, diff) = text
        .split_once("\n---\n")
        .context("a mail has a line --- between its text and the diff")?;
    Ok(diff)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\
diff --git a/sub/one.c b/sub/one.c
index 0123456789..1234567890 100644
--- a/sub/one.c
+++ b/sub/one.c
@@ -1,2 +1,2 @@
 one
-two
+TWO
@@ -8,2 +8,2 @@ f()
 eight
-nine
+NINE
diff --git a/new.c b/new.c
new file mode 100644
index 0000000000..1234567890
--- /dev/null
+++ b/new.c
@@ -0,0 +1 @@
+new
";
    const HEAD: &str = "\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: afmpeg <afmpeg@example.org>
Date: Thu, 1 Jan 2026 00:00:00 +0000
Subject: [PATCH] sub: say it louder
";
    const BEFORE: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";

    /// What becomes of sub/one.c, and whether new.c is made.
    fn outcome(patch: &str) -> Result<(String, bool)> {
        let tree = tempfile::tempdir()?;
        fs::create_dir(tree.path().join("sub"))?;
        fs::write(tree.path().join("sub/one.c"), BEFORE)?;
        apply(patch, tree.path())?;
        let after = fs::read_to_string(tree.path().join("sub/one.c"))?;
        Ok((after, tree.path().join("new.c").exists()))
    }

    fn fault(patch: &str) -> String {
        format!("{:#}", outcome(patch).expect_err("the patch is taken"))
    }

    #[test]
    fn mails_and_diffs_of_git_apply() {
        let after = BEFORE.replace("two", "TWO").replace("nine", "NINE");
        let quoting = "\ndiff --git a/quoted.c b/quoted.c\n--- a/quoted.c\n+++ b/quoted.c\n@@ -1 +1 @@\n-a\n+b\n";
        let stat = " sub/one.c | 4 ++--\n";
        for patch in [
            DIFF.to_owned(),
            format!("{HEAD}\nWhy.\n---\n\n{DIFF}"),
            format!("{HEAD}\nWhy.\n---\n{stat}\n{DIFF}-- \n2.47.3\n"),
            format!("{HEAD}{quoting}---\n\n{DIFF}"),
        ] {
            let (changed, is_new) = outcome(&patch).unwrap();
            assert_eq!((changed.as_str(), is_new), (after.as_str(), true), "{patch}");
        }
    }

    #[test]
    fn what_is_not_all_a_diff_is_refused() {
        let mail = |diff: &str| format!("{HEAD}\nWhy.\n---\n\n{diff}");
        let unified = DIFF
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("diff "))
            .collect::<String>();
        for (patch, text) in [
            (mail(&DIFF.replace("-two", "-too")), "sub/one.c: error applying hunk #1"),
            (
                mail(&DIFF.replace(" eight", " acht")),
                "sub/one.c: error applying hunk #2",
            ),
            (mail(&DIFF.replace("@@ -8", "cut short\n@@ -8")), "no part of a diff"),
            (
                mail(&DIFF.replace("diff --git a/new.c b/new.c\n", "")),
                "no part of a diff",
            ),
            (mail(&unified), "here is no line"),
            (unified, "here is no line"),
            (format!("{HEAD}\nWhy.\n\n{DIFF}"), "a line --- between"),
            (mail("nothing\n"), "here is no line"),
            (mail(&DIFF.replace("a/sub/", "a/sub/../../")), "not Modify"),
            (mail(&DIFF.replace("/new.c", "/../new.c")), "leaves the tree"),
            (mail(&DIFF.replace("/new.c", "/sub/one.c")), "there already"),
            (
                mail(&DIFF.replace("mode 100644", "mode 100755")),
                "new.c: a patch may not change a file's mode",
            ),
            (
                mail(&DIFF.replace(
                    "index 0123456789..1234567890 100644",
                    "old mode 100644\nnew mode 100755",
                )),
                "sub/one.c: a patch may not change a file's mode",
            ),
        ] {
            let fault = fault(&patch);
            assert!(fault.contains(text), "{fault}\n{patch}");
        }
    }
}
