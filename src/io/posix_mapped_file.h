// MappedFile on the real disk.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "io/file.h"
#include "io/mapping_fault.h"

namespace fletching::io {

class PosixMappedFile : public MappedFile {
 public:
  static Result<std::shared_ptr<MappedFile>> Open(const std::string& path);
  ~PosixMappedFile() override;

  ByteSpan bytes() const override { return {start_, bytes_}; }
  const std::string& path() const override { return path_; }
  void Populate() const override;
  int direct_descriptor() const override { return direct_descriptor_; }
  void OpenDirect() override;
  void WillNeed(std::span<const FileRange> ranges) const override;
  void LetGo(const FileRange& range) const override;

 protected:
  struct Mapping {
    const uint8_t* start = nullptr;
    size_t bytes = 0;
  };
  static Result<Mapping> MapFile(const std::string& path);
  PosixMappedFile(std::string path, const Mapping& mapping);

 private:
  const std::string path_;
  const uint8_t* start_;  // nullptr for an empty file, which cannot be mapped
  size_t bytes_;
  int direct_descriptor_ = -1;
  std::optional<MappingGuard> guard_;
};

}  // namespace fletching::io
