//! The arguments of the jobs of a plan.

/// The arguments of a job.
#[derive(Default)]
pub struct Args {
    pub words: Vec<String>,
}

impl Args {
    pub fn add(&mut self, words: impl IntoIterator<Item = impl AsRef<str>>) {
        self.words
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
    }
}
