import type { ChannelOptions } from '@grpc/grpc-js';

/** Nobody has more calls on one connection than a worker's session and what it fetches meanwhile. */
const maxConcurrentStreams = 64;
/** The default of 64 KiB lets little of a chunk through per round trip; grpc-js heeds it on clients only. */
const receiveWindowBytes = 8 << 20;

/**
 * What servers and channels have in common. `maxReceiveBytes`: the largest message that the other side may
 * send.
 */
function commonOptions(maxReceiveBytes: number): ChannelOptions {
  return {
    'grpc.max_receive_message_length': maxReceiveBytes,
    // The receiver sets the limit.
    'grpc.max_send_message_length': -1,
    // Finds a peer whose machine is gone; a process that hangs is found by its heartbeats, and one that is
    // only slow must live.
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.keepalive_permit_without_calls': 1,
  };
}

export function serverOptions(maxReceiveBytes: number): ChannelOptions {
  return { ...commonOptions(maxReceiveBytes), 'grpc.max_concurrent_streams': maxConcurrentStreams };
}

export function channelOptions(maxReceiveBytes: number): ChannelOptions {
  return {
    ...commonOptions(maxReceiveBytes),
    'grpc-node.flow_control_window': receiveWindowBytes,
    // http_proxy and its like are for the way to the internet. Members of a run are on one machine or in one
    // network.
    'grpc.enable_http_proxy': 0,
    // A name server must not change how a run's calls are made.
    'grpc.service_config_disable_resolution': 1,
    // A replayed stream would send its messages twice.
    'grpc.enable_retries': 0,
    // A connection for each channel: closing the channel closes it.
    'grpc.use_local_subchannel_pool': 1,
  };
}
