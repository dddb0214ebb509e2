//! This process's signals and terminal, passed on to ffmpeg.

use afmpeg::{Cancellation, Signals};

/// Has the first signal cancel something, which ends this process in order, and the second end it at once.
pub fn cancel(cancellation: &Cancellation) {
    #[cfg(unix)]
    {
        let cancellation = cancellation.clone();
        unix::pass_on(
            move |_| {
                cancellation.cancel();
                true
            },
            None,
        );
    }
    #[cfg(not(unix))]
    {
        let _ = cancellation;
    }
}

/// Passes signals on as long as it lives; the terminal's keys come one by one, if they are for the program.
pub struct Passing {
    #[cfg(unix)]
    _keys: Option<unix::Keys>,
}

impl Passing {
    /// `reads_keys`: the program reads single keys from standard input, if that is a terminal.
    pub fn start(signals: &Signals, reads_keys: bool) -> Passing {
        #[cfg(unix)]
        {
            let keys = reads_keys.then(unix::Keys::take).flatten();
            let signals = signals.clone();
            unix::pass_on(move |number| signals.send(number), keys.as_ref());
            Passing { _keys: keys }
        }
        #[cfg(not(unix))]
        {
            let _ = (signals, reads_keys);
            Passing {}
        }
    }
}

#[cfg(unix)]
mod unix {
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals as Incoming;
    use signal_hook::low_level::emulate_default_handler;
    use std::io;
    use std::thread;

    /// The terminal without its lines: each key comes at once, and unseen.
    pub struct Keys {
        before: Termios,
    }

    impl Keys {
        /// Changes the terminal, if there is one and this process is in its foreground.
        pub fn take() -> Option<Keys> {
            let terminal = io::stdin();
            let before = tcgetattr(&terminal).ok()?;
            if tcgetpgrp(&terminal).ok()? != rustix::process::getpgrp() {
                return None;
            }
            let mut changed = before.clone();
            changed.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::IEXTEN;
            tcsetattr(&terminal, OptionalActions::Now, &changed).ok()?;
            Some(Keys { before })
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            put_back(&self.before);
        }
    }

    fn put_back(before: &Termios) {
        // A terminal that has gone needs nothing more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }

    /// Gives the first signal away, if it is taken. Else, and from the second on, it ends this process as it would have
    /// without a handler.
    pub fn pass_on(take: impl Fn(u8) -> bool + Send + 'static, keys: Option<&Keys>) {
        // Without handlers, the first signal ends the process.
        let Ok(mut incoming) = Incoming::new([SIGINT, SIGTERM]) else {
            return;
        };
        let before = keys.map(|keys| keys.before.clone());
        let pass = move || {
            for (count, number) in incoming.forever().enumerate() {
                let number_of_program = u8::try_from(number).unwrap_or_default();
                if count == 0 && take(number_of_program) {
                    continue;
                }
                before.iter().for_each(put_back);
                let _ = emulate_default_handler(number);
            }
        };
        // Nobody waits for this thread: it ends with the process.
        drop(thread::Builder::new().name("afmpeg signals".to_owned()).spawn(pass));
    }
}
