#pragma once
// What the process does when a signal comes.

namespace ferry::cli {

/// SIGINT, SIGTERM, SIGHUP  remove the files being written, then end the process by that signal
/// SIGBUS                   a mapped file became shorter, or its disk fails: one line that names it, exit 1
/// SIGPIPE, SIGXFSZ         ignored: the call that wrote reports the error
///
/// Call once, before anything is written.
void install_signal_handlers();

}  // namespace ferry::cli
