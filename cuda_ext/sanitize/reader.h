// How the sanitizer driver reads a call from a file. What it refuses throws std::invalid_argument.
#pragma once

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../common/array_checks.h"
#include "../common/instruction_sets.h"

namespace inrcodec {

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

[[noreturn]] inline void refuse_call(const std::string& why) {
    throw std::invalid_argument("driver: " + why);
}

inline std::vector<unsigned char> read_file(const char* path) {
    const File file(std::fopen(path, "rb"));
    if (!file) refuse_call("file must be readable, got " + std::string(path));
    std::vector<unsigned char> bytes;
    unsigned char chunk[1 << 16];
    for (size_t n; (n = std::fread(chunk, 1, sizeof chunk, file.get())) > 0;)
        bytes.insert(bytes.end(), chunk, chunk + n);
    return bytes;
}

class Reader {
  public:
    explicit Reader(std::vector<unsigned char> bytes) : bytes_(std::move(bytes)) {}

    template <typename T>
    T number() {
        T value;
        std::memcpy(&value, take(1, sizeof(T)), sizeof(T));
        return value;
    }

    // Counts above the bytes left are refused before anything is allocated.
    template <typename T>
    std::vector<T> numbers(uint64_t count) {
        const unsigned char* from = take(count, sizeof(T));
        std::vector<T> values(static_cast<size_t>(count));
        if (count > 0) std::memcpy(values.data(), from, values.size() * sizeof(T));
        return values;
    }

    void finish() const {
        if (at_ == bytes_.size()) return;
        refuse_call("file must end at byte " + std::to_string(at_) + ", got " +
                    std::to_string(bytes_.size()));
    }

  private:
    const unsigned char* take(uint64_t count, size_t size) {
        const size_t left = bytes_.size() - at_;
        if (count > left / size) {
            refuse_call("file must hold " + std::to_string(count) + " numbers more, got " +
                        std::to_string(left) + " bytes");
        }
        const unsigned char* from = bytes_.data() + at_;
        at_ += static_cast<size_t>(count) * size;
        return from;
    }

    std::vector<unsigned char> bytes_;
    size_t at_ = 0;
};

inline Type type_of(const float*) {
    return Type::kFloat32;
}
inline Type type_of(const double*) {
    return Type::kFloat64;
}
inline Type type_of(const int32_t*) {
    return Type::kInt32;
}
inline Type type_of(const uint32_t*) {
    return Type::kUint32;
}
inline Type type_of(const int64_t*) {
    return Type::kInt64;
}
inline Type type_of(const uint8_t*) {
    return Type::kUint8;
}

template <typename T>
Array describe(const char* name, std::vector<T>& values, std::vector<int64_t> shape) {
    Array array;
    array.name = name;
    array.data = values.data();
    array.type = type_of(values.data());
    array.shape = std::move(shape);
    return array;
}

inline void choose_instruction_set(unsigned number) {
    const std::vector<std::string> names = instruction_sets();
    if (number >= names.size())
        refuse_call("instruction set must exist, got " + std::to_string(number));
    use_instruction_set(names[number]);
}

// What all kinds of calls begin with.
struct Start {
    int op, n_threads;
};

inline Start read_start(Reader& reader, int last_op) {
    const int op = reader.number<uint8_t>();
    if (op > last_op) {
        refuse_call("op must be in [0, " + std::to_string(last_op) + "], got " +
                    std::to_string(op));
    }
    const int n_threads = reader.number<uint8_t>();
    if (n_threads < 1) refuse_call("threads must be at least 1, got 0");
    choose_instruction_set(reader.number<uint8_t>());
    return {op, n_threads};
}

}  // namespace inrcodec
