//! A container with arbitrary parameters: Matroska with one stream, since its writer checks nothing.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Video,
    Audio,
    Subtitle,
}

/// The parameters of the stream, as the container states them.
pub struct Claims {
    pub media: Media,
    pub tag: [u8; 4],
    pub extradata: Vec<u8>,
    pub width: u16,
    pub height: u16,
    pub bits: u16,
    pub rate: u32,
    pub channels: u16,
    pub block_size: u16,
    pub subtitle_codec: &'static str,
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    // A size of eight bytes, whatever it is.
    bytes.extend((content.len() as u64 | 1 << 56).to_be_bytes());
    bytes.extend(content);
    bytes
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

impl Claims {
    fn codec(&self) -> (&'static str, Vec<u8>) {
        let mut private = Vec::new();
        match self.media {
            Media::Video => {
                private.extend((40 + self.extradata.len() as u32).to_le_bytes());
                private.extend(u32::from(self.width).to_le_bytes());
                private.extend(u32::from(self.height).to_le_bytes());
                private.extend(1u16.to_le_bytes());
                private.extend(self.bits.to_le_bytes());
                private.extend(self.tag);
                private.extend([0; 20]);
                private.extend(&self.extradata);
                ("V_MS/VFW/FOURCC", private)
            }
            Media::Audio => {
                private.extend([self.tag[0], self.tag[1]]);
                private.extend(self.channels.to_le_bytes());
                private.extend(self.rate.to_le_bytes());
                private.extend((self.rate / 8 * u32::from(self.bits)).to_le_bytes());
                private.extend(self.block_size.to_le_bytes());
                private.extend(self.bits.to_le_bytes());
                private.extend((self.extradata.len() as u16).to_le_bytes());
                private.extend(&self.extradata);
                ("A_MS/ACM", private)
            }
            Media::Subtitle => (self.subtitle_codec, self.extradata.clone()),
        }
    }
}

/// A file with these packets, 40 ms each.
pub fn matroska(claims: &Claims, packets: &[Vec<u8>]) -> Vec<u8> {
    let head = [
        number(&[0x42, 0x86], 1),
        number(&[0x42, 0xf7], 1),
        number(&[0x42, 0xf2], 4),
        number(&[0x42, 0xf3], 8),
        element(&[0x42, 0x82], b"matroska"),
        number(&[0x42, 0x87], 4),
        number(&[0x42, 0x85], 2),
    ];
    let (codec, private) = claims.codec();
    let (kind, settings) = match claims.media {
        Media::Video => {
            let size = [
                number(&[0xb0], claims.width.into()),
                number(&[0xba], claims.height.into()),
            ];
            (1, element(&[0xe0], &size.concat()))
        }
        Media::Audio => {
            let rate = element(&[0xb5], &f64::from(claims.rate).to_be_bytes());
            let channels = number(&[0x9f], claims.channels.into());
            let bits = number(&[0x62, 0x64], claims.bits.into());
            (2, element(&[0xe1], &[rate, channels, bits].concat()))
        }
        Media::Subtitle => (17, Vec::new()),
    };
    let track = [
        number(&[0xd7], 1),
        number(&[0x73, 0xc5], 1),
        number(&[0x83], kind),
        element(&[0x86], codec.as_bytes()),
        element(&[0x63, 0xa2], &private),
        number(&[0x23, 0xe3, 0x83], 40_000_000),
        settings,
    ];
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &track.concat()));
    let information = element(&[0x15, 0x49, 0xa9, 0x66], &number(&[0x2a, 0xd7, 0xb1], 1_000_000));
    let mut cluster = number(&[0xe7], 0);
    for (index, packet) in packets.iter().enumerate() {
        let mut block = vec![0x81];
        block.extend((index as u16 * 40).to_be_bytes());
        match claims.media {
            // Only a block in a group has a duration.
            Media::Subtitle => {
                block.push(0);
                block.extend(packet);
                let group = [element(&[0xa1], &block), number(&[0x9b], 40)];
                cluster.extend(element(&[0xa0], &group.concat()));
            }
            _ => {
                block.push(0x80);
                block.extend(packet);
                cluster.extend(element(&[0xa3], &block));
            }
        }
    }
    let segment = [information, tracks, element(&[0x1f, 0x43, 0xb6, 0x75], &cluster)];
    [
        element(&[0x1a, 0x45, 0xdf, 0xa3], &head.concat()),
        element(&[0x18, 0x53, 0x80, 0x67], &segment.concat()),
    ]
    .concat()
}
