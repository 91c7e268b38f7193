// AppendFile on the real disk.
#pragma once

#include <memory>
#include <string>

#include "io/file.h"

namespace fletching::io {

class PosixAppendFile final : public AppendFile {
 public:
  static Result<std::unique_ptr<AppendFile>> Create(const std::string& path);
  ~PosixAppendFile() override;

  using AppendFile::Append;
  Status Append(std::span<const ByteSpan> pieces) override;
  Status Reserve(uint64_t bytes) override;
  Status ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) override;
  void StartWriteback() override;
  Status Sync() override;
  Status Close() override;
  uint64_t size_bytes() const override { return size_bytes_; }

 private:
  PosixAppendFile(std::string path, int descriptor);
  // Writes everything at `offset` and beyond; 0 or the errno that stopped it.
  int WriteAll(std::span<const ByteSpan> pieces, uint64_t offset, uint64_t* written_bytes);
  Status TakeBack(std::string_view action, int error);
  Status CheckUsable(std::string_view action) const;

  const std::string path_;
  int descriptor_;
  uint64_t size_bytes_ = 0;
  uint64_t reserved_bytes_ = 0;   // length of the file, where zeros lie behind size_bytes_
  uint64_t writeback_bytes_ = 0;  // up to here the disk was asked to write
  bool broken_ = false;           // an error left the file in a state nobody knows
};

}  // namespace fletching::io
