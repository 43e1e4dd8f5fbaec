#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

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

LoopbackServer::LoopbackServer(std::string name, Handler handler)
    : name_(std::move(name)), handler_(std::move(handler)) {
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
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back([this, connection] {
      serve(connection);
      ::close(connection);
    });
  }
}

std::optional<FakeRequest> LoopbackServer::read_request(int connection, std::string& buffer) {
  while (true) {
    if (const size_t end = buffer.find("\r\n\r\n"); end != std::string::npos) {
      const std::string head = buffer.substr(0, end);
      buffer.erase(0, end + 4);
      return parse_request(head, name_);
    }
    constexpr char kTlsHandshake = 0x16;
    if (!buffer.empty() && buffer.front() == kTlsHandshake) return std::nullopt;
    pollfd waiting{connection, POLLIN, 0};
    if (stopping_ || ::poll(&waiting, 1, 20) < 0) return std::nullopt;
    if ((waiting.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    char piece[4096];
    const ssize_t got = ::recv(connection, piece, sizeof piece, 0);
    if (got <= 0) return std::nullopt;
    buffer.append(piece, static_cast<size_t>(got));
  }
}

bool LoopbackServer::write_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd waiting{connection, POLLOUT, 0};
    if (stopping_ || ::poll(&waiting, 1, 20) < 0) return false;
    if (waiting.revents == 0) continue;
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool LoopbackServer::write_reply(int connection, const FakeRequest& request, const FakeReply& reply) {
  if (reply.drop) return false;
  std::string head = fmt::format("HTTP/1.1 {} Status\r\n", reply.status);
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  const bool open_end = reply.without_length || reply.endless;
  if (!open_end)
    head += fmt::format("Content-Length: {}\r\n", reply.declared_length.value_or(reply.body.size()));
  if (!write_all(connection, head + "\r\n")) return false;
  if (request.method == "HEAD") return true;
  while (reply.endless) {
    if (!write_all(connection, reply.body)) return false;
  }
  const std::string_view body =
      std::string_view(reply.body).substr(0, reply.cut_at.value_or(std::string::npos));
  if (reply.pause.count() == 0) {
    if (!write_all(connection, body)) return false;
  } else {
    for (size_t i = 0; i < body.size(); ++i) {
      if (!write_all(connection, body.substr(i, 1))) return false;
      std::this_thread::sleep_for(reply.pause);
    }
  }
  return !open_end && !reply.cut_at && !reply.declared_length;
}

void LoopbackServer::serve(int connection) {
  std::string buffer;
  while (auto request = read_request(connection, buffer)) {
    if (!write_reply(connection, *request, handler_(*request))) return;
  }
}

}  // namespace ferry::hub::test
