//! A connection that can be cut without either side being told, as a network's partition does.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub struct Proxy {
    pub port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = is_cut.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
                    continue;
                };
                pass(near.try_clone().unwrap(), far.try_clone().unwrap(), cut.clone());
                pass(far, near, cut.clone());
            }
        });
        Proxy { port, is_cut }
    }

    /// Holds all bytes back from now on.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_cut: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(count) = from.read(&mut buffer) {
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
