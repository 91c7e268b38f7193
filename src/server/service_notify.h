// Tells systemd how far the service is (Type=notify). Does nothing where nobody asked for it.
#pragma once

#include <string_view>

namespace fletching::server {

// state: "READY=1", "STOPPING=1". Goes to the socket that NOTIFY_SOCKET names, once, unanswered:
// who does not listen must not keep a server from serving.
void NotifyService(std::string_view state);

}  // namespace fletching::server
