// A unary call over loopback: server and client in one process. The module's name is the only argument, because both
// modules have the API that is used here.
"use strict";

const grpc = require(process.argv[2]);

const asIs = (bytes) => bytes;
const echo = {
  say: {
    path: "/echo.Echo/Say",
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};

function fail(error) {
  console.error(error);
  process.exit(1);
}

const server = new grpc.Server();
server.addService(echo, { say: (call, answer) => answer(null, Buffer.concat([Buffer.from("echo: "), call.request])) });
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) fail(error);
  // The native server waits for this; the other one has started already, and only warns.
  if (process.argv[2] === "grpc") server.start();
  const Client = grpc.makeGenericClientConstructor(echo, "Echo");
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  client.say(Buffer.from("hello"), { deadline: Date.now() + 5000 }, (refused, answer) => {
    if (refused) fail(refused);
    console.log(answer.toString());
    client.close();
    server.forceShutdown();
  });
});
