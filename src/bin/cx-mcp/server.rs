//! The protocol's side: which tools there are, and who answers a call.

use std::sync::atomic::AtomicU64;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};

use crate::{
    arguments::Arguments,
    child::Cx,
    memory,
    orchestrator::{self, Orchestrator},
    tool::{Answer, Description},
    wait::{self, Listener},
    worker,
};

const FOR_ORCHESTRATORS: &str = "cx runs coding agents in the background. spawn readers to look and writers to change, each with all it has to know; wait (do not poll jobs); collect; merge last, without `land` first.";

const FOR_WORKERS: &str = "You are a worker of cx. The memory is shared with the other workers: search it before you look for something, store what they will need. report says in one line how far you are.";

/// Whom the server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Orchestrator { allow_sh: bool },
    Worker,
}

/// The server.
pub(crate) struct Server {
    cx: Cx,
    orchestrator: Option<Orchestrator>,
}

impl Server {
    pub(crate) fn new(cx: Cx, face: Face) -> Self {
        let orchestrator = match face {
            Face::Orchestrator { allow_sh } => {
                Some(Orchestrator { allow_sh, max_jobs: AtomicU64::new(0) })
            }
            Face::Worker => None,
        };
        Self { cx, orchestrator }
    }

    fn tools(&self) -> impl Iterator<Item = &'static Description> {
        let own = match &self.orchestrator {
            Some(_) => orchestrator::TOOLS.iter(),
            None => worker::TOOLS.iter(),
        };
        own.chain(memory::TOOLS.iter())
    }

    async fn answer(
        &self,
        tool: &Description,
        said: Arguments<'_>,
        listener: Option<Listener>,
    ) -> Result<Answer, Answer> {
        // Prompts for other programs say more to these than we want to know.
        if !tool.name.starts_with("memory_") && tool.name != "swarm_init" {
            said.check(tool)?;
        }
        match &self.orchestrator {
            Some(_) if tool.name == "wait" => wait::wait(&self.cx, said, listener).await,
            Some(orchestrator) => orchestrator.call(&self.cx, tool.name, said).await,
            None => worker::call(&self.cx, tool.name, said).await,
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let instructions =
            if self.orchestrator.is_some() { FOR_ORCHESTRATORS } else { FOR_WORKERS };
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("cx", env!("CARGO_PKG_VERSION")))
            .with_instructions(instructions)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools().map(Description::tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.tools().find(|tool| tool.name == request.name) else {
            return Err(ErrorData::invalid_params(
                format!("there is no tool '{}'", request.name),
                None,
            ));
        };
        let said = request.arguments.unwrap_or_default();
        let token = context.meta.get_progress_token();
        let listener = token.map(|token| Listener { peer: context.peer.clone(), token });
        let answered = tokio::select! {
            answered = self.answer(tool, Arguments(&said), listener) => answered,
            // What is dropped ends the cx that would have answered.
            () = context.ct.cancelled() => Err(Answer::refused("the call was cancelled")),
        };
        Ok(answered.unwrap_or_else(|refusal| refusal).result().into())
    }
}
