"""Where events come from: fanotify, inotify, polling; all say what they could not see."""
