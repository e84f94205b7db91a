// Compiled before each source of TensorFlow's binding, which loads every SavedModel with the options of a new
// session and has no way to set them: the options of its sessions are those that RONDO_SESSION_CONFIG says when one
// is loaded, a ConfigProto in hexadecimal digits (worker/tensorflow/session-config.ts).

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tensorflow/c/c_api.h"

static inline TF_SessionOptions *NewConfiguredSessionOptions() {
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *digits = std::getenv("RONDO_SESSION_CONFIG");
  if (digits == nullptr) return options;
  std::string config;
  for (; digits[0] != 0 && digits[1] != 0; digits += 2) {
    config.push_back(static_cast<char>(std::stoi(std::string(digits, 2), nullptr, 16)));
  }
  TF_Status *status = TF_NewStatus();
  TF_SetConfig(options, config.data(), config.size(), status);
  if (TF_GetCode(status) != TF_OK) {
    std::fprintf(stderr, "RONDO_SESSION_CONFIG: %s\n", TF_Message(status));
    std::abort();
  }
  TF_DeleteStatus(status);
  return options;
}

#define TF_NewSessionOptions NewConfiguredSessionOptions
