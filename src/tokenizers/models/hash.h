#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ferry::tokenizers {

inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

/// A fast hash of bytes, for tables in memory.
inline uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t k0 = 0xA0761D6478BD642Fu, k1 = 0xE7037ED1A0B428DBu;
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t seed = k0 ^ n;
  const auto load8 = [](const char* q) {
    uint64_t word = 0;
    std::memcpy(&word, q, 8);
    return word;
  };
  while (n > 16) {
    seed = mix(load8(p) ^ k1, load8(p + 8) ^ seed);
    p += 16;
    n -= 16;
  }
  uint64_t a = 0;
  uint64_t b = 0;
  if (n >= 8) {
    a = load8(p);
    b = load8(p + n - 8);
  } else if (n >= 4) {
    uint32_t x = 0;
    uint32_t y = 0;
    std::memcpy(&x, p, 4);
    std::memcpy(&y, p + n - 4, 4);
    a = x;
    b = y;
  } else if (n > 0) {
    a = static_cast<uint64_t>(static_cast<unsigned char>(p[0])) << 16 |
        static_cast<uint64_t>(static_cast<unsigned char>(p[n / 2])) << 8 |
        static_cast<unsigned char>(p[n - 1]);
  }
  return mix(k1 ^ n, mix(a ^ k1, b ^ seed));
}

inline uint64_t hash_word(uint64_t key) {
  return mix(key ^ 0xA0761D6478BD642Fu, 0xE7037ED1A0B428DBu);
}

}  // namespace ferry::tokenizers
