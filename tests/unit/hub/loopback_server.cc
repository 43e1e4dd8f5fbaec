#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "base/text.h"
#include "hub/headers.h"
#include "unit/hub/fake_hub.h"

namespace ferry::hub::test {
namespace {

std::string decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

FakeRequest parse_request(const std::string& head, const std::string& server) {
  FakeRequest request;
  request.server = server;
  const auto lines = split(head, '\n');
  const auto words = split(lines.front(), ' ');
  request.method = words.at(0);
  const std::string target = words.at(1);
  const size_t question = target.find('?');
  request.path = decode(target.substr(0, question));
  if (question != std::string::npos) request.query = target.substr(question + 1);
  Headers headers;
  for (size_t i = 1; i < lines.size(); ++i) {
    const size_t colon = lines[i].find(':');
    if (colon == std::string::npos) continue;
    headers.add_line(lines[i]);
    const std::string name = to_lower(lines[i].substr(0, colon));
    request.headers[name] = headers.get(name);
  }
  return request;
}

}  // namespace

// One client: a socket, perhaps with TLS over it. Calls give up when the server stops.
class LoopbackServer::Connection {
 public:
  Connection(int socket, bool tls, const std::atomic<bool>& stopping) : socket_(socket), stopping_(stopping) {
    if (!tls) return;
    ssl_ = SSL_new(static_cast<SSL_CTX*>(Certificate::shared().server_context()));
    SSL_set_fd(ssl_, socket_);
  }
  ~Connection() {
    SSL_free(ssl_);
    ::close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The TLS handshake; true at once without TLS.
  bool open() { return ssl_ == nullptr || SSL_accept(ssl_) == 1; }

  // What came, up to the size of `buffer`; 0 at the end of the connection.
  size_t read(char* buffer, size_t size) {
    const bool buffered = ssl_ != nullptr && SSL_pending(ssl_) > 0;
    if (!buffered && !wait_for(POLLIN)) return 0;
    const auto got =
        ssl_ != nullptr ? SSL_read(ssl_, buffer, static_cast<int>(size)) : ::recv(socket_, buffer, size, 0);
    return got > 0 ? static_cast<size_t>(got) : 0;
  }

  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!wait_for(POLLOUT)) return false;
      const auto sent = ssl_ != nullptr
                            ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                            : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

 private:
  bool wait_for(short events) {
    pollfd waiting{socket_, events, 0};
    while (!stopping_) {
      if (::poll(&waiting, 1, 20) < 0) return false;
      if (waiting.revents != 0) return true;
    }
    return false;
  }

  const int socket_;
  const std::atomic<bool>& stopping_;
  SSL* ssl_ = nullptr;
};

LoopbackServer::LoopbackServer(std::string name, Handler handler, bool tls)
    : name_(std::move(name)), handler_(std::move(handler)), tls_(tls) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to connections that tests break.
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, sizeof address) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic, &length) != 0) {
    throw std::runtime_error("cannot listen on the loopback interface");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

LoopbackServer::~LoopbackServer() {
  stopping_ = true;
  acceptor_.join();
  for (auto& connection : connections_) connection.join();
  ::close(listener_);
}

void LoopbackServer::accept_all() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_.emplace_back([this, socket] {
      Connection connection(socket, tls_, stopping_);
      if (connection.open()) serve(connection);
    });
  }
}

std::optional<FakeRequest> LoopbackServer::read_request(Connection& connection, std::string& buffer) {
  constexpr char kTlsHandshake = 0x16;
  while (true) {
    if (const size_t end = buffer.find("\r\n\r\n"); end != std::string::npos) {
      const std::string head = buffer.substr(0, end);
      buffer.erase(0, end + 4);
      return parse_request(head, name_);
    }
    if (!buffer.empty() && buffer.front() == kTlsHandshake) return std::nullopt;
    char piece[4096];
    const size_t got = connection.read(piece, sizeof piece);
    if (got == 0) return std::nullopt;
    buffer.append(piece, got);
  }
}

bool LoopbackServer::write_reply(Connection& connection, const FakeRequest& request, const FakeReply& reply) {
  if (reply.drop) return false;
  std::string head = fmt::format("HTTP/1.1 {} Status\r\n", reply.status);
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  const bool open_end = reply.without_length || reply.endless;
  if (!open_end)
    head += fmt::format("Content-Length: {}\r\n", reply.declared_length.value_or(reply.body.size()));
  if (!connection.write(head + "\r\n")) return false;
  if (request.method == "HEAD") return true;
  while (reply.endless) {
    if (!connection.write(reply.body)) return false;
  }
  const std::string_view body =
      std::string_view(reply.body).substr(0, reply.cut_at.value_or(std::string::npos));
  if (reply.pause.count() == 0) {
    if (!connection.write(body)) return false;
  } else {
    for (size_t i = 0; i < body.size(); ++i) {
      if (!connection.write(body.substr(i, 1))) return false;
      std::this_thread::sleep_for(reply.pause);
    }
  }
  return !open_end && !reply.cut_at && !reply.declared_length;
}

void LoopbackServer::serve(Connection& connection) {
  std::string buffer;
  while (auto request = read_request(connection, buffer)) {
    if (!write_reply(connection, *request, handler_(*request))) return;
  }
}

}  // namespace ferry::hub::test
