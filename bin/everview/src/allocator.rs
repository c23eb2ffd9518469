//! Memory that a dropped view or an ended query held goes back to the system.
//!
//! What arrangements hold lies in large pieces, up to a megabyte and more. glibc begins with a mapping of its own for
//! each piece of 128 KiB or more, which goes when the piece does, but with each one freed it raises that bound, up to
//! 32 MiB: then pieces lie between others in its heaps, and the process keeps, and in time grows by, what it does not
//! use; and a memory limit counts it. Fixing the bound where it begins costs no measurable time.

/// Fixes the size from which a piece of memory is mapped by itself. To be called before any thread is started.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(
        unsafe_code,
        reason = "there is no other way to tell glibc's allocator"
    )]
    // SAFETY: `mallopt` takes two integers, and touches nothing but the allocator's parameters, under its lock. Where it
    // fails, it changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
    }
}
