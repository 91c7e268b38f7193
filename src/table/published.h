// A pointer that one writer replaces and any number of readers pin without a lock.
//
// Pin: write the pointer into a hazard slot, see that it is still current, count a reference, clear
// the slot. Replace: swap, wait until no slot names the old object (a few instructions of some
// reader), drop the reference that "being current" was. The last reference deletes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

namespace fletching::table {

// What PublishedCell holds; counts references to itself.
class Published {
 public:
  virtual ~Published() = default;
  void Ref() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // Whether others than the caller hold it.
  bool IsShared() const { return references_.load(std::memory_order_acquire) > 1; }

 private:
  mutable std::atomic<int64_t> references_{1};
};

// For who replaced something large: unmapping files takes milliseconds, which are no reader's, so
// others are to let go first. Waits a tenth of a second at most.
template <typename IsShared>
void WaitWhileShared(const IsShared& is_shared) {
  for (int i = 0; i < 100 && is_shared(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// One announcement of "I am about to count a reference to this". Shared by all cells of a process.
class HazardSlot {
 public:
  // Claims a slot; slots of other threads are skipped.
  static HazardSlot* Claim();
  void Release() {
    pointer.store(nullptr, std::memory_order_release);
    is_claimed_.store(false, std::memory_order_release);
  }
  // Waits until no slot announces `pointer`.
  static void WaitUntilUnannounced(const void* pointer);

  std::atomic<const void*> pointer{nullptr};

 private:
  std::atomic<bool> is_claimed_{false};
};

// Keeps an object alive. T derives from Published. Threads: one at a time, like a shared_ptr.
template <typename T>
class Pinned {
 public:
  Pinned() = default;
  explicit Pinned(const T* counted) : object_(counted) {}
  Pinned(Pinned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Pinned& operator=(Pinned&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Pinned() {
    if (object_ != nullptr) object_->Unref();
  }
  // Another pin of the same object.
  Pinned Again() const {
    if (object_ != nullptr) object_->Ref();
    return Pinned(object_);
  }
  const T* operator->() const { return object_; }
  const T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

  // As WaitWhileShared, then lets go. Of an object that is not current any more.
  void LetGoLast() {
    WaitWhileShared([this] { return object_ != nullptr && object_->IsShared(); });
    *this = Pinned();
  }

 private:
  const T* object_ = nullptr;
};

// Threads: Pin by any number; Publish by one at a time.
template <typename T>
class PublishedCell {
 public:
  ~PublishedCell() { Publish(nullptr); }

  Pinned<T> Pin() const {
    HazardSlot* slot = HazardSlot::Claim();
    const T* object = current_.load(std::memory_order_acquire);
    while (true) {
      slot->pointer.store(object, std::memory_order_seq_cst);
      const T* again = current_.load(std::memory_order_seq_cst);
      if (again == object) break;
      object = again;
    }
    if (object != nullptr) object->Ref();
    slot->Release();
    return Pinned<T>(object);
  }

  // Takes over the reference that a new object is born with.
  void Publish(const T* object) {
    const T* old = current_.exchange(object, std::memory_order_seq_cst);
    if (old == nullptr) return;
    HazardSlot::WaitUntilUnannounced(old);
    old->Unref();
  }

 private:
  std::atomic<const T*> current_{nullptr};
};

}  // namespace fletching::table
