//! A connection that can be cut without either side being told, as a network's partition does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub struct Proxy {
    pub port: u16,
    is_cut: Arc<AtomicBool>,
    /// What it is cut before.
    mark: Arc<Mutex<Option<&'static [u8]>>>,
}

impl Proxy {
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let mark = Arc::new(Mutex::new(None));
        let (cut, seen) = (is_cut.clone(), mark.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
                    continue;
                };
                pass(
                    near.try_clone().unwrap(),
                    far.try_clone().unwrap(),
                    cut.clone(),
                    seen.clone(),
                );
                pass(far, near, cut.clone(), Arc::default());
            }
        });
        Proxy { port, is_cut, mark }
    }

    /// Holds all bytes back from now on.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    /// Holds all bytes back from where the near side sends this.
    pub fn cut_before(&self, mark: &'static [u8]) {
        *self.mark.lock().unwrap() = Some(mark);
    }

    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::SeqCst)
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

type Mark = Arc<Mutex<Option<&'static [u8]>>>;

fn pass(mut from: TcpStream, mut to: TcpStream, is_cut: Arc<AtomicBool>, mark: Mark) {
    thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(count) = from.read(&mut buffer) {
            if let Some(mark) = *mark.lock().unwrap()
                && buffer[..count].windows(mark.len()).any(|part| part == mark)
            {
                is_cut.store(true, Ordering::SeqCst);
            }
            while is_cut.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
