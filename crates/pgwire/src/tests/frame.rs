use super::*;

async fn read(bytes: &[u8]) -> (Result<Option<Frame>, FrameError>, usize) {
    let mut input = Input::new(bytes);
    while matches!(input.fill().await, Ok(true)) {}
    (input.take(), input.buffer.capacity())
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn messages_are_cut_where_their_lengths_say() {
    block(async {
        let mut input = Input::new(&b"Q\0\0\0\x06x\0S\0\0\0\x04"[..]);
        while input.fill().await.unwrap() {}
        let first = input.take().unwrap().unwrap();
        assert_eq!((first.tag, &first.body[..]), (b'Q', &b"x\0"[..]));
        assert_eq!(input.upcoming(), Some(b'S'));
        assert_eq!(input.take().unwrap().unwrap().tag, b'S');
        assert!(input.take().unwrap().is_none());
    });
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    block(async {
        assert_eq!(
            read(b"Q\0\0\0\x03").await.0.unwrap_err(),
            FrameError::Length
        );
        assert_eq!(
            read(b"Q\x7f\xff\xff\xff").await.0.unwrap_err(),
            FrameError::Length
        );
        assert_eq!(
            read(b"Q\xff\xff\xff\xff").await.0.unwrap_err(),
            FrameError::Length
        );
        assert_eq!(
            read(b"S\0\x01\0\0").await.0.unwrap_err(),
            FrameError::Length
        );
        assert_eq!(
            read(b"\x01\0\0\0\x04").await.0.unwrap_err(),
            FrameError::Type(1)
        );
    });
}

#[test]
fn a_long_announcement_takes_no_memory() {
    block(async {
        let (frame, capacity) = read(b"Q\x3f\xff\xff\xffabc").await;
        assert!(frame.unwrap().is_none());
        assert!(capacity < 1 << 20, "{capacity}");
    });
}
