"""The MCP SDK for Python as a client of the server in examples/mcp: an OAuthClientProvider with the server's address, the metadata
that it registers, a storage, and two functions that lead the user away and back. It registers itself, and refreshes where
its access token has expired, once for the requests that find it so. Of logout MCP has nothing."""

import asyncio
import os
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

RESOURCE = os.environ["RESOURCE"]


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main():
    came = asyncio.get_running_loop().create_future()

    async def receive(reader, writer):
        target = (await reader.readline()).split()[1].decode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        came.set_result({name: values[0] for name, values in parse_qs(urlsplit(target).query).items()})

    async def leave(address):
        print(f"Open {address}", flush=True)

    async def back():
        return AuthorizationCodeResult(**{name: (await came).get(name) for name in ("code", "state", "iss")})

    loopback = await asyncio.start_server(receive, "127.0.0.1", 0)
    redirect_uri = "http://127.0.0.1:%d/callback" % loopback.sockets[0].getsockname()[1]
    metadata = OAuthClientMetadata(client_name="Notes reader", redirect_uris=[redirect_uri])
    storage = Storage()
    provider = OAuthClientProvider(RESOURCE, metadata, storage, leave, back)
    async with (
        httpx2.AsyncClient(auth=provider) as http,
        streamable_http_client(RESOURCE, http_client=http) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()

        async def caller():
            return (await session.call_tool("whoami")).content[0].text

        print(f"Called by {await caller()}", flush=True)
        first = storage.tokens
        provider.context.token_expiry_time = 1
        callers = set(await asyncio.gather(*(caller() for _ in range(8))))
        assert storage.tokens.refresh_token != first.refresh_token and storage.tokens.access_token != first.access_token
        print(f"Called by {callers.pop()}", flush=True)
        assert not callers


asyncio.run(main())
