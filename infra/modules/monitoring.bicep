@description('The name of the workspace.')
param workspaceName string

@description('The name of the Application Insights component.')
param componentName string

@description('The name of the rule that every line passes before it is kept.')
param ruleName string

@description('Where they lie.')
param location string

@description('Tags of the resources.')
param tags object

@description('Days until a log line is deleted.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Gigabytes a day beyond which nothing more is taken in; -1 for no bound.')
param dailyCapGb int

// A path holds the id of an agent or of a call, and the Client columns tell where somebody is.
var noPlace = 'extend ClientIP = "0.0.0.0", ClientCity = "", ClientStateOrProvince = "", ClientCountryOrRegion = "", UserId = "", UserAuthenticatedId = "", UserAccountId = "", SessionId = ""'
// Only what is named here is kept of the properties: the host adds HttpPath, and a library may add others. A
// transformation knows few functions: none that takes a key out of a bag, and no literal of one.
var noPath = 'extend all = parse_json(Properties) | extend Properties = pack("Category", tostring(all.Category), "LogLevel", tostring(all.LogLevel)) | project-away all'

module first 'workspace.bicep' = {
  name: 'workspace'
  params: {
    name: workspaceName
    location: location
    tags: tags
    retentionDays: retentionDays
    dailyCapGb: dailyCapGb
    transformationId: ''
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2024-03-11' = {
  name: ruleName
  location: location
  tags: tags
  kind: 'WorkspaceTransforms'
  properties: {
    destinations: { logAnalytics: [{ name: 'workspace', workspaceResourceId: first.outputs.id }] }
    dataFlows: [
      {
        streams: ['Microsoft-Table-AppRequests']
        destinations: ['workspace']
        transformKql: 'source | ${noPlace} | extend Url = "" | ${noPath}'
      }
      {
        streams: ['Microsoft-Table-AppDependencies']
        destinations: ['workspace']
        transformKql: 'source | ${noPlace} | extend Data = "", Name = "", Target = "" | ${noPath}'
      }
      {
        streams: ['Microsoft-Table-AppExceptions']
        destinations: ['workspace']
        transformKql: 'source | ${noPlace} | extend OuterMessage = "", InnermostMessage = "", Details = parse_json("[]") | ${noPath}'
      }
      {
        streams: ['Microsoft-Table-AppTraces']
        destinations: ['workspace']
        transformKql: 'source | ${noPlace} | ${noPath}'
      }
    ]
  }
}

// The workspace names the rule and the rule names the workspace: one of the two has to come twice.
module second 'workspace.bicep' = {
  name: 'workspace-transformed'
  params: {
    name: workspaceName
    location: location
    tags: tags
    retentionDays: retentionDays
    dailyCapGb: dailyCapGb
    transformationId: rule.id
  }
}

// Tables of Application Insights keep 90 days whatever the workspace keeps, unless they are told themselves.
@batchSize(1)
resource tables 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = [
  for table in ['AppRequests', 'AppDependencies', 'AppExceptions', 'AppTraces']: {
    name: '${workspaceName}/${table}'
    properties: { retentionInDays: retentionDays, totalRetentionInDays: retentionDays }
    dependsOn: [second]
  }
]

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: second.outputs.id
    DisableLocalAuth: true
    DisableIpMasking: false
  }
}

output workspaceId string = second.outputs.id
output componentId string = component.id
output connectionString string = component.properties.ConnectionString
